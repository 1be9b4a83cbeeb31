import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { unreachable } from '../../src/api/client';
import { kept } from '../../src/features/uploads/kept';
import { aborted, type Answer, type Request } from '../../src/features/uploads/request';
import { Transfer, reached, type Told } from '../../src/features/uploads/transfer';

const AT = '/api/v1/uploads/u1';
const file = (bytes = 20) => new File([new Uint8Array(bytes)], 'quay.jpg', { lastModified: 5 });

/** A server that has `has` bytes; what it is asked, and what goes wrong next. */
function server() {
  const state = { has: 0, length: 0, asked: [] as string[], next: [] as (number | 'lost' | 'hangs')[] };
  const answer = (status: number, headers: Record<string, string> = {}): Answer => {
    const text = status < 400 ? '' : JSON.stringify({ error: `No: ${status}.`, code: 'no', status, details: { fix: 'Do otherwise.' } });
    return { status, text, header: (name) => headers[name] ?? null };
  };
  const told = () => ({ 'upload-offset': String(state.has), ...(state.has === state.length && { 'media-id': 'm1' }) });
  const request: Request = (method, _url, headers, body, sent) => {
    let abort = () => {};
    const respond = async () => {
      state.asked.push(method === 'PATCH' ? `PATCH ${headers['upload-offset']}` : method);
      const trouble = method === 'PATCH' || method === 'HEAD' ? state.next.shift() : undefined;
      if (trouble === 'lost') throw unreachable();
      if (trouble === 'hangs') await new Promise((_, reject) => (abort = () => reject(aborted())));
      if (typeof trouble === 'number' && trouble) return answer(trouble);
      if (method === 'POST') {
        state.length = Number(headers['upload-length']);
        return answer(201, { location: AT, 'upload-offset': '0' });
      }
      if (method === 'PATCH') {
        state.has = Number(headers['upload-offset']) + (body?.size ?? 0);
        sent(body?.size ?? 0);
        return answer(204, told());
      }
      return method === 'DELETE' ? answer(204) : answer(200, told());
    };
    return { answer: respond(), abort: () => abort() };
  };
  return { state, request };
}

const steps: Told[] = [];
const start = (request: Request, of = file()) => new Transfer(of, (told) => steps.push(told), request);
const last = () => steps.at(-1);

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  steps.length = 0;
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify({ id: 'm1', name: 'quay.jpg' }))));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a file to the server', () => {
  test('goes in pieces and becomes a medium, and is then forgotten', async () => {
    const { state, request } = server();
    const media = await start(request, file((16 << 20) + 5)).done;
    expect(media.id).toBe('m1');
    expect(state.asked).toEqual(['POST', 'PATCH 0', `PATCH ${16 << 20}`]);
    expect(last()?.sent).toBe((16 << 20) + 5);
    expect(kept.all()).toEqual([]);
  });

  test('goes on where the server is after its connection was lost', async () => {
    const { state, request } = server();
    state.next = ['lost', 503, 0, 423, 0];
    const transfer = start(request);
    await vi.waitFor(() => expect(state.asked).toContain('PATCH 0'));
    state.has = 7;
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await transfer.done).id).toBe('m1');
    expect(state.asked).toEqual(['POST', 'PATCH 0', 'HEAD', 'HEAD', 'PATCH 7', 'HEAD', 'PATCH 7']);
  });

  test('waits for a person when trying does not help, and says why', async () => {
    const { state, request } = server();
    state.next = Array<'lost'>(7).fill('lost');
    const transfer = start(request);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(last()).toMatchObject({ step: 'paused', problem: { code: 'unreachable' } });
    transfer.resume();
    await vi.advanceTimersByTimeAsync(0);
    expect((await transfer.done).id).toBe('m1');
  });

  test('is paused in the middle of a request and resumed', async () => {
    const { state, request } = server();
    state.next = ['hangs'];
    const transfer = start(request);
    await vi.waitFor(() => expect(state.asked).toContain('PATCH 0'));
    transfer.pause();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(last()).toMatchObject({ step: 'paused', problem: null });
    expect(state.asked).toEqual(['POST', 'PATCH 0']);
    transfer.resume();
    await vi.advanceTimersByTimeAsync(0);
    await transfer.done;
    expect(state.asked).toEqual(['POST', 'PATCH 0', 'HEAD', 'PATCH 0']);
  });

  test('goes on after a reload when it is chosen again, and another file does not', async () => {
    kept.add(file(), AT);
    const { state, request } = server();
    Object.assign(state, { has: 15, length: 20 });
    await start(request).done;
    expect(state.asked).toEqual(['HEAD', 'PATCH 15']);
    kept.add(file(), AT);
    expect(kept.find(file(21))).toBeUndefined();
    expect(await reached(AT, request)).toBeNull();
    vi.setSystemTime(Date.now() + 86_400_001);
    expect(kept.all()).toEqual([]);
  });

  test('begins anew when the server has forgotten it', async () => {
    kept.add(file(), AT);
    const { state, request } = server();
    state.next = [410];
    const transfer = start(request);
    await vi.advanceTimersByTimeAsync(2_000);
    await transfer.done;
    expect(state.asked).toEqual(['HEAD', 'POST', 'PATCH 0']);
  });

  test('that is not taken is not sent again', async () => {
    const { state, request } = server();
    state.next = [415];
    await expect(start(request).done).rejects.toMatchObject({ status: 415, fix: 'Do otherwise.' });
    expect(state.asked).toEqual(['POST', 'PATCH 0']);
    expect(kept.all()).toEqual([]);
  });

  test('waits where the store is full: a person has to make room', async () => {
    const { state, request } = server();
    state.next = [507];
    const transfer = start(request);
    await vi.advanceTimersByTimeAsync(0);
    expect(last()).toMatchObject({ step: 'paused', problem: { status: 507 } });
    transfer.resume();
    await vi.advanceTimersByTimeAsync(0);
    await transfer.done;
  });

  test('is taken from the server when it is cancelled', async () => {
    const { state, request } = server();
    state.next = ['hangs'];
    const transfer = start(request);
    await vi.waitFor(() => expect(state.asked).toContain('PATCH 0'));
    transfer.cancel();
    await expect(transfer.done).rejects.toMatchObject({ code: 'aborted' });
    expect(state.asked.at(-1)).toBe('DELETE');
    expect(kept.all()).toEqual([]);
  });

  test('only two are on their way at once', async () => {
    const { state, request } = server();
    state.next = ['hangs', 'hangs'];
    const all = [1, 2, 3].map((n) => start(request, file(n)));
    await vi.waitFor(() => expect(state.asked.filter((a) => a === 'PATCH 0')).toHaveLength(2));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(state.asked.filter((a) => a === 'POST')).toHaveLength(2);
    const ended = Promise.allSettled(all.map((t) => t.done));
    all[0]?.cancel();
    await vi.advanceTimersByTimeAsync(0);
    expect((await all[2]?.done)?.id).toBe('m1');
    all[1]?.cancel();
    await ended;
  });
});
