import { afterEach, expect, test, vi } from 'vitest';
import type { Post } from '../../src/api/types';
import { store } from '../../src/app/store.svelte';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const post = (id: string, more: Partial<Post> = {}) =>
  ({ id, state: 'scheduled', scheduledAt: '2026-11-24T09:00:00Z', version: 1, updatedAt: '', media: [], deliveries: [], ...more }) as unknown as Post;

/** Answers every question for a post or the connections; returns what was asked. */
function answers(posts: Record<string, Post | null>): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(url);
    const found = posts[url.split('/').at(-1) ?? ''];
    if (url.endsWith('/connections')) return Promise.resolve(new Response('{"items":[],"next":null}'));
    if (!found) return Promise.resolve(new Response('{"error":"No.","code":"not_found","status":404}', { status: 404 }));
    return Promise.resolve(new Response(JSON.stringify(found)));
  });
  return asked;
}

test('many events of one post are one question', async () => {
  vi.useFakeTimers();
  store.start({ posts: [post('a')] });
  const asked = answers({ a: post('a', { state: 'published', version: 2 }) });
  for (const state of ['sending', 'waiting', 'published']) {
    store.onEvent('delivery', { kind: `delivery.${state}`, id: 'd', postId: 'a', deliveryId: 'd', state });
  }
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked.filter((u) => u.endsWith('/posts/a')).length).toBe(1);
  expect(asked.filter((u) => u.endsWith('/connections')).length).toBe(1);
  expect(store.posts.get('a')?.state).toBe('published');
});

test('a deleted post goes without a question, a vanished one after it', async () => {
  vi.useFakeTimers();
  store.start({ posts: [post('b'), post('c')] });
  const asked = answers({ c: null });
  store.onEvent('post', { kind: 'post.deleted', id: 'b', postId: 'b' });
  expect(store.chips.has('b')).toBe(false);
  store.onEvent('post', { kind: 'post.changed', id: 'c', postId: 'c' });
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toEqual(['/api/v1/posts/c']);
  expect(store.chips.has('c')).toBe(false);
});

test('what was asked for and then deleted is not asked for any more', async () => {
  vi.useFakeTimers();
  store.start({ posts: [post('g')] });
  const asked = answers({});
  store.onEvent('post', { kind: 'post.changed', id: 'g', postId: 'g' });
  store.onEvent('delivery', { kind: 'delivery.published', id: 'd', postId: 'g', deliveryId: 'd', state: 'published' });
  store.onEvent('post', { kind: 'post.deleted', id: 'g', postId: 'g' });
  store.onEvent('delivery', { kind: 'delivery.cancelled', id: 'e', postId: 'g', deliveryId: 'e', state: 'cancelled' });
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked.filter((u) => u.endsWith('/posts/g'))).toEqual([]);
  expect(store.posts.has('g')).toBe(false);
});

test('of many posts with news the days on the screen are asked for, once', async () => {
  vi.useFakeTimers();
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(url.split('?')[0] ?? '');
    const of = url.includes('/posts/') ? post('n1', { version: 2 }) : { items: [post('n1', { version: 2 }), post('n2')], next: null };
    return Promise.resolve(new Response(JSON.stringify(of)));
  });
  await store.loadRange(Date.parse('2026-11-01T00:00:00Z'), Date.parse('2026-12-01T00:00:00Z'));
  store.putPost(post('n1'));
  asked.length = 0;
  for (let n = 1; n <= 500; n++) store.onEvent('post', { kind: 'post.created', id: `n${n}`, postId: `n${n}` });
  await vi.advanceTimersByTimeAsync(500);
  expect(asked.sort()).toEqual(['/api/v1/calendar', '/api/v1/posts/n1']);
  expect(store.chips.get('n2')?.id).toBe('n2');
  // While it goes on, the next look waits longer; after a quiet one, no more.
  for (let n = 1; n <= 500; n++) store.onEvent('post', { kind: 'post.changed', id: `n${n}`, postId: `n${n}` });
  await vi.advanceTimersByTimeAsync(500);
  expect(asked.length).toBe(2);
  await vi.advanceTimersByTimeAsync(1500);
  expect(asked.length).toBe(4);
  for (const ms of [1500, 120]) {
    store.onEvent('post', { kind: 'post.changed', id: 'n1', postId: 'n1' });
    await vi.advanceTimersByTimeAsync(ms);
  }
  expect(asked.length).toBe(6);
});

test('every file that has news is told of, and the posts that show it are asked for', async () => {
  vi.useFakeTimers();
  store.putPost(post('e', { media: [{ id: 'm2' }] as Post['media'] }));
  const asked = answers({ e: post('e') });
  const told: string[] = [];
  const stop = store.watchMedia((id) => told.push(id));
  store.onEvent('media', { kind: 'media.ready', id: 'm1', mediaId: 'm1', state: 'ready' });
  store.onEvent('media', { kind: 'media.ready', id: 'm2', mediaId: 'm2', state: 'ready' });
  stop();
  store.onEvent('media', { kind: 'media.ready', id: 'm3', mediaId: 'm3', state: 'ready' });
  await vi.advanceTimersByTimeAsync(500);
  expect(told).toEqual(['m1', 'm2']);
  expect(asked).toEqual(['/api/v1/posts/e']);
});

test('of two answers only the one to the latest question counts', async () => {
  const pending: ((r: Response) => void)[] = [];
  vi.stubGlobal('fetch', () => new Promise<Response>((resolve) => pending.push(resolve)));
  const first = store.loadPost('f');
  const second = store.loadPost('f');
  pending[1]?.(new Response(JSON.stringify(post('f', { text: 'new' }))));
  await second;
  pending[0]?.(new Response(JSON.stringify(post('f', { text: 'old' }))));
  await first;
  expect(store.posts.get('f')?.text).toBe('new');
});
