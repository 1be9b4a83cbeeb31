import { describe, expect, test } from 'vitest';
import type { Brief, Delivery, Post } from '../../src/api/types';
import { withEvent, withNews, without, withPosts, withRange, type Posts } from '../../src/app/merge';

const post = (id: string, more: Partial<Post> = {}): Post =>
  ({
    id, state: 'scheduled', scheduledAt: '2026-11-24T09:00:00Z', version: 1, updatedAt: '2026-11-20T00:00:00Z',
    deliveries: [{ id: `${id}-d`, state: 'queued', can: ['cancel'] } as unknown as Delivery],
    ...more,
  }) as Post;
const map = (...posts: Post[]): Posts<Post> => new Map(posts.map((p) => [p.id, p]));

describe('posts from the server', () => {
  test('an older version never replaces a newer one', () => {
    const posts = map(post('a', { version: 5 }));
    expect(withPosts(posts, [post('a', { version: 4 })])).toBe(posts);
    expect(withPosts(posts, [post('a', { version: 5, updatedAt: '2026-11-19T00:00:00Z' })])).toBe(posts);
    expect(withPosts(posts, [post('a', { version: 6 })]).get('a')?.version).toBe(6);
  });
  test('a list of a span removes what is no longer in it, and nothing else', () => {
    const posts = map(post('in'), post('gone'), post('later', { scheduledAt: '2026-12-24T09:00:00Z' }), post('draft', { scheduledAt: null }));
    const next = withRange(posts, [post('in'), post('new')], Date.parse('2026-11-01T00:00:00Z'), Date.parse('2026-12-01T00:00:00Z'));
    expect([...next.keys()].sort()).toEqual(['draft', 'in', 'later', 'new']);
    expect(posts.size).toBe(4);
  });
  test('a post that has left is gone', () => {
    expect([...without(map(post('a'), post('b')), 'a').keys()]).toEqual(['b']);
  });
});

test('what moved or changed is no longer said to be too close, on either side', () => {
  const brief = (id: string, other: string): Brief => ({ ...post(id), clashes: [{ code: 'collision', connectionId: 'c', postId: other }] });
  const chips: Posts<Brief> = new Map([['a', brief('a', 'b')], ['b', brief('b', 'a')]]);
  expect(withNews(chips, post('a')).get('a')?.clashes?.length, 'nothing changed').toBe(1);
  const moved = withNews(chips, post('a', { version: 2, scheduledAt: '2026-11-25T09:00:00Z' }));
  expect([...moved.values()].flatMap((p) => p.clashes ?? [])).toEqual([]);
  expect(chips.get('b')?.clashes?.length).toBe(1);
});

describe('events of the live feed', () => {
  test('a delivery changes its state and what can be done with it, at once', () => {
    const posts = map(post('a'));
    const next = withEvent(posts, { kind: 'delivery.published', postId: 'a', deliveryId: 'a-d', state: 'published' });
    expect(next.get('a')?.deliveries[0]).toMatchObject({ state: 'published', can: [] });
    expect(posts.get('a')?.deliveries[0]?.state).toBe('queued');
  });
  test('a post changes its state', () => {
    expect(withEvent(map(post('a')), { kind: 'post.cancelled', postId: 'a', state: 'cancelled' }).get('a')?.state).toBe('cancelled');
  });
  test('what is not known or says nothing new changes nothing', () => {
    const posts = map(post('a'));
    expect(withEvent(posts, { kind: 'delivery.published', postId: 'x', deliveryId: 'y', state: 'published' })).toBe(posts);
    expect(withEvent(posts, { kind: 'delivery.published', postId: 'a', deliveryId: 'y', state: 'published' })).toBe(posts);
    expect(withEvent(posts, { kind: 'delivery.queued', postId: 'a', deliveryId: 'a-d', state: 'queued' })).toBe(posts);
    expect(withEvent(posts, { kind: 'post.moved', postId: 'a' })).toBe(posts);
  });
});
