// Moving posts to other times, as rules without a screen: may it move, to which instant, and the
// steps of moving by keyboard (M, arrows, Enter, Escape). The planner draws and sends.

import type { Key } from '../../app/i18n';
import type { Brief, DeliveryState } from '../../api/types';
import { addDays, type Day } from '../../time/calendar';
import { at, dayOf, wallText } from '../../time/zone';

const MINUTE = 60_000;
/** Times are chosen in quarters of an hour. */
export const STEP = 15;

/** Why a post cannot move, as a message; null when it can. */
export function refusal(post: Brief): Key | null {
  if (!post.scheduledAt) return 'move.no.time';
  if (post.deliveries.some((d) => IN_FLIGHT.has(d.state)) || post.state === 'publishing') return 'move.no.sending';
  if (post.deliveries.some((d) => d.question)) return 'move.no.question';
  if (post.state === 'published') return 'move.no.published';
  if (post.state === 'partly_published' || post.deliveries.some((d) => d.state === 'published')) return 'move.no.partly';
  if (post.state === 'cancelled') return 'move.no.cancelled';
  return null;
}

/** When a post is due, in ms; NaN where it has no time. */
export const dueAt = (post: Brief): number => Date.parse(post.scheduledAt ?? '');

/** The same time of day on another day, or this many minutes after its midnight by the clock. */
export function movedTo(post: Brief, day: Day, zone: string, minutes: number | null = null): number {
  if (minutes !== null) return at(day, clockOf(minutes), zone);
  return at(day, post.scheduledAt ? wallText(dueAt(post), zone).slice(11) : '09:00', zone);
}

/** By how much clocks differ between two instants, in minutes: a day is 1440, also where it lasts 23 hours. */
export function wallDistance(from: number, to: number, zone: string): number {
  return (Date.parse(`${wallText(to, zone)}Z`) - Date.parse(`${wallText(from, zone)}Z`)) / MINUTE;
}
/** The post's time so many minutes on by the clock. */
export function shifted(post: Brief, minutes: number, zone: string): number {
  const wall = Date.parse(`${wallText(dueAt(post), zone)}Z`) + minutes * MINUTE;
  const text = new Date(wall).toISOString();
  return at(text.slice(0, 10), text.slice(11, 16), zone);
}

/** `09:15` */
export const clockOf = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;

/** The post as it will look; open deliveries shift by the same distance. */
export function asMoved<P extends Brief>(post: P, to: number): P {
  const by = to - (post.scheduledAt ? dueAt(post) : to);
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

/** A post that was picked up by keyboard, and the instant it is over. */
export interface Carry {
  postId: string;
  from: number;
  to: number;
}
export interface Step {
  carry: Carry | null;
  say: 'move.picked' | 'move.over' | 'move.cancelled' | 'move.same' | null;
  /** Set when the post is put down at another time. */
  drop: number | null;
}

export function pick(post: Brief): Step {
  const due = dueAt(post);
  return { carry: { postId: post.id, from: due, to: due }, say: 'move.picked', drop: null };
}

/**
 * One key while a post is carried. Up and down are weeks, or where times are rows (`fine`) quarters
 * of an hour. Unknown keys change nothing and say nothing.
 */
export function step(carry: Carry, key: string, zone: string, fine = false): Step {
  const to = fine && key in QUARTERS ? quarter(carry.to, QUARTERS[key] ?? 0) : day(carry, key, zone, fine);
  if (to !== null) return { carry: { ...carry, to }, say: 'move.over', drop: null };
  if (key === 'Escape') return { carry: null, say: 'move.cancelled', drop: null };
  if (key === 'Enter' || key === ' ' || key.toLowerCase() === 'm') {
    if (carry.to === carry.from) return { carry: null, say: 'move.same', drop: null };
    return { carry: null, say: null, drop: carry.to };
  }
  return { carry, say: null, drop: null };
}

function day(carry: Carry, key: string, zone: string, fine: boolean): number | null {
  const days = DAYS[key];
  if (days === undefined) return null;
  // By days alone it keeps its own time, also on the far side of a clock change.
  const time = wallText(fine ? carry.to : carry.from, zone).slice(11);
  return at(addDays(dayOf(carry.to, zone), days), time, zone);
}

/** The next full quarter on that side: hours that come twice are passed twice. */
function quarter(ms: number, by: number): number {
  const size = STEP * MINUTE;
  return by > 0 ? Math.floor(ms / size) * size + size : Math.ceil(ms / size) * size - size;
}

const DAYS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const QUARTERS: Record<string, number> = { ArrowUp: -1, ArrowDown: 1 };
const IN_FLIGHT = new Set<DeliveryState>(['leased', 'sending', 'waiting', 'unknown']);
const OPEN = new Set<DeliveryState>(['queued', 'held', 'missed', 'failed']);
