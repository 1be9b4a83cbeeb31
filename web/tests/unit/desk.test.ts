import { afterEach, expect, test, vi } from 'vitest';
import type { Pause } from '../../src/api/desk';
import { desk } from '../../src/app/desk.svelte';
import { pauseSentence } from '../../src/app/scope';
import { store } from '../../src/app/store.svelte';
import { toasts } from '../../src/app/toasts.svelte';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const pause = (more: Partial<Pause> = {}): Pause => ({ scope: 'all', pausedAt: '2026-11-22T09:00:00Z', why: '', actor: 'operator', wide: false, ...more });
const letter = (id: string, since: string, question: string | null) => ({ id, postId: `post-${id}`, since, question });

/** Answers by path; a path that is not named fails. Returns what was asked. */
function answers(by: Record<string, unknown>): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    const path = url.replace('/api/v1', '').split('?')[0] ?? '';
    asked.push(`${init.method} ${path}`);
    const found = by[path];
    if (found === undefined) return Promise.resolve(new Response('{"error":"No.","code":"internal","status":500}', { status: 500 }));
    return Promise.resolve(new Response(JSON.stringify(found)));
  });
  return asked;
}

test('questions come oldest first, and only what is asked about', async () => {
  answers({
    '/pauses': { items: [] },
    '/alerts': { items: [] },
    '/dead-letters': { items: [letter('b', '2026-11-22', 'is_it_live'), letter('c', '2026-11-20', null), letter('a', '2026-11-21', 'is_it_live')] },
  });
  await desk.load();
  expect(desk.questions.map((q) => q.id)).toEqual(['a', 'b']);
});

test('a part that cannot be read does not hide the others', async () => {
  answers({ '/pauses': { items: [pause()] }, '/dead-letters': { items: [] } });
  await expect(desk.load()).rejects.toThrow('No.');
  expect(desk.pauses.length).toBe(1);
});

test('many events are one look, and files are none', async () => {
  vi.useFakeTimers();
  const asked = answers({ '/pauses': { items: [] }, '/alerts': { items: [] }, '/dead-letters': { items: [] } });
  const told = vi.fn();
  const unwatch = desk.watch(told);
  desk.onEvent('media');
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([]);
  for (let i = 0; i < 20; i++) desk.onEvent('delivery');
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.length).toBe(3);
  expect(told).toHaveBeenCalledTimes(1);
  unwatch();
});

test('an answer takes its question away and reads the post again', async () => {
  answers({
    '/pauses': { items: [] },
    '/alerts': { items: [] },
    '/dead-letters': { items: [letter('a', '2026-11-21', 'is_it_live')] },
    '/deliveries/a/answer': {},
    '/posts/post-a': { id: 'post-a', deliveries: [], media: [], state: 'published' },
  });
  await desk.load();
  await desk.answer({ id: 'a', postId: 'post-a' }, { live: true });
  expect(desk.questions).toEqual([]);
  expect(store.posts.get('post-a')?.state).toBe('published');
});

test('a pause says what, by whom and why', () => {
  store.start({ networks: [{ id: 'mastodon', name: 'Mastodon' } as never], session: { account: { id: 'me' } } as never });
  expect(pauseSentence(pause({ why: 'the price list is wrong.' }))).toBe('Everything is paused by the operator: the price list is wrong.');
  expect(pauseSentence(pause({ scope: 'network:mastodon', actor: 'account:me' }))).toBe('Mastodon is paused by you.');
  expect(pauseSentence(pause({ scope: 'queue:send', actor: 'account:other' }))).toBe('Sending is paused.');
});

test('Ctrl+Z takes back the latest step that can be, past messages that offer something else', () => {
  const [first, second, other] = [vi.fn(), vi.fn(), vi.fn()];
  toasts.show('one', { actions: [{ label: 'Undo', undo: true, run: first }] });
  toasts.show('two', { actions: [{ label: 'Open', run: other }, { label: 'Undo', undo: true, run: second }] });
  toasts.show('three', { actions: [{ label: 'Open', run: other }] });
  expect(toasts.undo()).toBe(true);
  expect(toasts.undo()).toBe(true);
  expect(toasts.undo()).toBe(false);
  expect([first, second, other].map((f) => f.mock.calls.length)).toEqual([1, 1, 0]);
});
