import { afterEach, describe, expect, test, vi } from 'vitest';
import { all, ApiError, failure, get, post, SIGNED_OUT } from '../../src/api/client';

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });
const answer = (...responses: (Response | Error)[]) => {
  const mock = vi.fn((_: string, __?: RequestInit) => {
    const next = responses.shift() ?? new Error('asked too often');
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  });
  vi.stubGlobal('fetch', mock);
  return mock;
};
afterEach(() => vi.unstubAllGlobals());

describe('errors', () => {
  test('the envelope comes through, with its fields', async () => {
    const problems = [{ field: 'deliveries[0].text', code: 'text_too_long', message: 'Too long.', connectionId: 'c1' }];
    answer(json(422, { error: 'The text is too long.', code: 'text_too_long', status: 422, requestId: 'r1', details: { fix: 'Shorten it.', problems } }));
    const error = await post('/posts', {}).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ message: 'The text is too long.', code: 'text_too_long', status: 422, requestId: 'r1', fix: 'Shorten it.', problems });
  });
  test('a proxy’s page and an empty answer are errors with a sentence', () => {
    expect(failure(502, '<html>Bad gateway</html>')).toMatchObject({ status: 502, code: 'http_error' });
    expect(failure(500, '').message).toContain('500');
  });
  test('no answer at all is an error that says so', async () => {
    answer(new TypeError('Failed to fetch'));
    await expect(get('/session')).rejects.toMatchObject({ code: 'unreachable', status: 0 });
  });
  test('an aborted question is not an error of ours', async () => {
    const abort = new AbortController();
    abort.abort();
    answer(new DOMException('aborted', 'AbortError'));
    await expect(get('/session', { signal: abort.signal })).rejects.toBeInstanceOf(DOMException);
  });
  test('the end of the session is announced', async () => {
    const heard = vi.fn();
    document.addEventListener(SIGNED_OUT, heard, { once: true });
    answer(json(401, { error: 'Sign in first.', code: 'unauthenticated', status: 401 }));
    await get('/session').catch(() => null);
    expect(heard).toHaveBeenCalledOnce();
  });
});

describe('requests', () => {
  test('a list is read to its end', async () => {
    const mock = answer(json(200, { items: [1, 2], next: 'c2' }), json(200, { items: [3], next: null }));
    expect(await all<number>('/posts', { from: 'x' })).toEqual([1, 2, 3]);
    expect(mock.mock.calls.map((c) => c[0])).toEqual(['/api/v1/posts?from=x', '/api/v1/posts?from=x&cursor=c2']);
  });
  test('a write carries its key and its body; 204 is nothing', async () => {
    const mock = answer(new Response(null, { status: 204 }));
    expect(await post('/x', { a: 1 }, { idempotencyKey: 'k' })).toBeUndefined();
    expect(mock.mock.calls[0]?.[1]).toMatchObject({ method: 'POST', body: '{"a":1}', headers: { 'idempotency-key': 'k', 'content-type': 'application/json' } });
  });
});
