import { afterEach, expect, test, vi } from 'vitest';
import { Live } from '../../src/app/live.svelte';

afterEach(() => vi.unstubAllGlobals());

const events = (...pieces: string[]) =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    }),
  );

/** A feed over these answers; resolves with what was asked when they are used up. */
function feed(answers: (Response | Error)[]) {
  const headers: (string | undefined)[] = [];
  const seen: string[] = [];
  let resumed = 0;
  let signedOut = 0;
  return new Promise<{ headers: typeof headers; seen: string[]; resumed: number; signedOut: number }>((resolve) => {
    const live: Live = new Live({
      onEvent: (m) => seen.push(`${m.event} ${m.data}`),
      onResume: () => (resumed += 1),
      onSignedOut: () => (signedOut += 1),
    });
    vi.stubGlobal('fetch', (_: string, init: RequestInit) => {
      headers.push((init.headers as Record<string, string>)['last-event-id']);
      const next = answers.shift();
      if (next === undefined) {
        live.stop();
        return Promise.reject(new TypeError('used up'));
      }
      setTimeout(() => live.nudge(), 5);
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    });
    const nudge = setInterval(() => live.nudge(), 5);
    void live.run().then(() => {
      clearInterval(nudge);
      resolve({ headers, seen, resumed, signedOut });
    });
  });
}

test('after a break it asks from the last event on, through refusals and outages', async () => {
  const found = await feed([
    events('event: hello\ndata: {}\n\n', 'id: 41\nevent: delivery\ndata: a\n\n'),
    new TypeError('refused'),
    new Response('bad gateway', { status: 502 }),
    events('id: 42\nevent: post\ndata: b\n\nid: 43\nevent: post\ndata: cut'),
  ]);
  expect(found.headers).toEqual([undefined, '41', '41', '41', '42']);
  expect(found.seen).toEqual(['hello {}', 'delivery a', 'post b']);
  expect(found.resumed).toBe(1);
  expect(found.signedOut).toBe(0);
});

test('it stops when the session is over', async () => {
  const found = await feed([new Response('{}', { status: 401 })]);
  expect(found.signedOut).toBe(1);
  expect(found.headers.length).toBe(1);
});
