// How news from the server changes what is on the screen. Pure: old state in, new state out, and
// the same object when nothing changed, so that only what differs is drawn again.

import type { DeliveryState, LiveEvent, Post, PostState } from '../api/types';

export type Posts = ReadonlyMap<string, Post>;

/** Puts posts in; an older version never replaces a newer one. */
export function withPosts(posts: Posts, incoming: Iterable<Post>): Posts {
  let next: Map<string, Post> | null = null;
  for (const post of incoming) {
    const known = (next ?? posts).get(post.id);
    if (known && isOlder(post, known)) continue;
    next ??= new Map(posts);
    next.set(post.id, post);
  }
  return next ?? posts;
}

/** What a list for [from, to) answered: posts of that span which it does not name are gone. */
export function withRange(posts: Posts, incoming: Post[], from: number, to: number): Posts {
  const named = new Set(incoming.map((p) => p.id));
  const kept = new Map<string, Post>();
  for (const [id, post] of posts) {
    const when = post.scheduledAt ? Date.parse(post.scheduledAt) : NaN;
    if (named.has(id) || !(when >= from && when < to)) kept.set(id, post);
  }
  return withPosts(kept.size === posts.size ? posts : kept, incoming);
}

export function without(posts: Posts, id: string): Posts {
  if (!posts.has(id)) return posts;
  const next = new Map(posts);
  next.delete(id);
  return next;
}

/** The part of an event that can be shown before the post is fetched again. */
export function withEvent(posts: Posts, event: LiveEvent): Posts {
  const post = event.postId ? posts.get(event.postId) : undefined;
  if (!post || !event.state) return posts;
  let next: Post = post;
  if (event.deliveryId) {
    const i = post.deliveries.findIndex((d) => d.id === event.deliveryId);
    const delivery = post.deliveries[i];
    if (!delivery || delivery.state === event.state) return posts;
    const deliveries = post.deliveries.with(i, { ...delivery, state: event.state as DeliveryState, can: [] });
    next = { ...post, deliveries };
  } else {
    if (post.state === event.state) return posts;
    next = { ...post, state: event.state as PostState };
  }
  return new Map(posts).set(post.id, next);
}

function isOlder(post: Post, known: Post): boolean {
  return post.version < known.version || (post.version === known.version && post.updatedAt < known.updatedAt);
}
