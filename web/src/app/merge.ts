// How news from the server changes what is on the screen. Pure: old state in, new state out, and
// the same object when nothing changed, so that only what differs is drawn again.

import type { Brief, DeliveryState, LiveEvent, PostState } from '../api/types';

export type Posts<P extends Brief> = ReadonlyMap<string, P>;

/** Puts posts in; an older version never replaces a newer one, and one that says the same changes nothing. */
export function withPosts<P extends Brief>(posts: Posts<P>, incoming: Iterable<P>): Posts<P> {
  let next: Map<string, P> | null = null;
  for (const post of incoming) {
    const known = (next ?? posts).get(post.id);
    if (known && (isOlder(post, known) || isSame(post, known))) continue;
    next ??= new Map(posts);
    next.set(post.id, post);
  }
  return next ?? posts;
}

/** What a list for [from, to) answered: posts of that span which it does not name are gone. */
export function withRange<P extends Brief>(posts: Posts<P>, incoming: P[], from: number, to: number): Posts<P> {
  const named = new Set(incoming.map((p) => p.id));
  const kept = new Map<string, P>();
  for (const [id, post] of posts) {
    const when = post.scheduledAt ? Date.parse(post.scheduledAt) : NaN;
    if (named.has(id) || !(when >= from && when < to)) kept.set(id, post);
  }
  return withPosts(kept.size === posts.size ? posts : kept, incoming);
}

export function without<P extends Brief>(posts: Posts<P>, id: string): Posts<P> {
  if (!posts.has(id)) return posts;
  const next = new Map(posts);
  next.delete(id);
  return next;
}

/** The part of an event that can be shown before the post is fetched again. */
export function withEvent<P extends Brief>(posts: Posts<P>, event: LiveEvent): Posts<P> {
  const post = event.postId ? posts.get(event.postId) : undefined;
  if (!post || !event.state) return posts;
  let next: P = post;
  if (event.deliveryId) {
    const i = post.deliveries.findIndex((d) => d.id === event.deliveryId);
    const delivery = post.deliveries[i];
    if (!delivery || delivery.state === event.state) return posts;
    // Of a whole delivery: what can be done now is asked again.
    const then = 'can' in delivery ? { can: [] } : {};
    const deliveries = post.deliveries.with(i, { ...delivery, ...then, state: event.state as DeliveryState });
    next = { ...post, deliveries };
  } else {
    if (post.state === event.state) return posts;
    next = { ...post, state: event.state as PostState };
  }
  return new Map(posts).set(post.id, next);
}

/** The same post as its new self: what stood too close to its old time or text is not said any more. */
export function withNews(chips: Posts<Brief>, post: Brief): Posts<Brief> {
  const known = chips.get(post.id);
  const stays = known?.scheduledAt === post.scheduledAt && known?.version === post.version;
  const next = new Map(chips).set(post.id, stays && known?.clashes ? { ...post, clashes: known.clashes } : post);
  if (stays) return next;
  for (const { postId } of known?.clashes ?? []) {
    const other = next.get(postId);
    if (other?.clashes) next.set(postId, { ...other, clashes: other.clashes.filter((c) => c.postId !== post.id) });
  }
  return next;
}

function isOlder(post: Brief, known: Brief): boolean {
  return post.version < known.version || (post.version === known.version && post.updatedAt < known.updatedAt);
}

/** Do two answers say the same? They are JSON. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  const [these, those] = [Object.entries(a), b as Record<string, unknown>];
  return these.length === Object.keys(those).length && these.every(([key, value]) => isSame(value, those[key]));
}
