// Moving a post to another day, as rules without a screen: may it move, to which instant, and the
// steps of moving by keyboard (M, arrows, Enter, Escape). The planner draws and sends.

import type { Key } from '../../app/i18n';
import type { DeliveryState, Post } from '../../api/types';
import { addDays, type Day } from '../../time/calendar';
import { at, dayOf, wallText } from '../../time/zone';

/** Why a post cannot move, as a message; null when it can. */
export function refusal(post: Post): Key | null {
  if (!post.scheduledAt) return 'move.no.time';
  if (post.deliveries.some((d) => IN_FLIGHT.has(d.state)) || post.state === 'publishing') return 'move.no.sending';
  if (post.deliveries.some((d) => d.question)) return 'move.no.question';
  if (post.state === 'published') return 'move.no.published';
  if (post.state === 'partly_published' || post.deliveries.some((d) => d.state === 'published')) return 'move.no.partly';
  if (post.state === 'cancelled') return 'move.no.cancelled';
  return null;
}

/** The same time of day on another day. */
export function movedTo(post: Post, day: Day, zone: string): number {
  const time = post.scheduledAt ? wallText(Date.parse(post.scheduledAt), zone).slice(11) : '09:00';
  return at(day, time, zone);
}

/** The post as it will look; open deliveries shift by the same distance. */
export function asMoved(post: Post, to: number): Post {
  const by = to - (post.scheduledAt ? Date.parse(post.scheduledAt) : to);
  return {
    ...post,
    scheduledAt: new Date(to).toISOString(),
    deliveries: post.deliveries.map((d) =>
      d.scheduledAt && OPEN.has(d.state)
        ? { ...d, scheduledAt: new Date(Date.parse(d.scheduledAt) + by).toISOString() }
        : d,
    ),
  };
}

/** A post that was picked up by keyboard, and the day it is over. */
export interface Carry {
  postId: string;
  from: Day;
  day: Day;
}
export interface Step {
  carry: Carry | null;
  say: 'move.picked' | 'move.over' | 'move.cancelled' | 'move.same' | null;
  /** Set when the post is put down on another day. */
  drop: Day | null;
}

export function pick(post: Post, zone: string): Step {
  const day = dayOf(Date.parse(post.scheduledAt ?? ''), zone);
  return { carry: { postId: post.id, from: day, day }, say: 'move.picked', drop: null };
}

/** One key while a post is carried. Unknown keys change nothing and say nothing. */
export function step(carry: Carry, key: string): Step {
  const days = DAYS[key];
  if (days !== undefined) {
    return { carry: { ...carry, day: addDays(carry.day, days) }, say: 'move.over', drop: null };
  }
  if (key === 'Escape') return { carry: null, say: 'move.cancelled', drop: null };
  if (key === 'Enter' || key === ' ' || key.toLowerCase() === 'm') {
    if (carry.day === carry.from) return { carry: null, say: 'move.same', drop: null };
    return { carry: null, say: null, drop: carry.day };
  }
  return { carry, say: null, drop: null };
}

const DAYS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const IN_FLIGHT = new Set<DeliveryState>(['leased', 'sending', 'waiting', 'unknown']);
const OPEN = new Set<DeliveryState>(['queued', 'held', 'missed', 'failed']);
