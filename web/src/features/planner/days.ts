// Posts by the days on which they are due, and where a week has room for more. Pure.

import type { Brief } from '../../api/types';
import { addDays, type Day } from '../../time/calendar';
import { at } from '../../time/zone';
import { dueAt } from './move';

export type Days = ReadonlyMap<Day, readonly Brief[]>;

/** Those due on these days, which follow each other; each day's by time. */
export function byDay(posts: Iterable<Brief>, days: readonly Day[], zone: string): Days {
  const starts = startsOf(days, 1, zone);
  const found = new Map<Day, { post: Brief; due: number }[]>();
  for (const post of posts) {
    const due = dueAt(post);
    const day = days[spanOf(due, starts)];
    if (!day) continue;
    const list = found.get(day);
    if (list) list.push({ post, due });
    else found.set(day, [{ post, due }]);
  }
  for (const list of found.values()) list.sort((a, b) => a.due - b.due || a.post.id.localeCompare(b.post.id));
  return new Map([...found].map(([day, list]) => [day, list.map(({ post }) => post)]));
}

/** When these days begin, and when the last of them, so many days long, ends. A zone is asked of days, not of thousands of posts. */
function startsOf(days: readonly Day[], length: number, zone: string): number[] {
  const last = days.at(-1);
  return [...days, ...(last ? [addDays(last, length)] : [])].map((day) => at(day, '00:00', zone));
}

/** Between which two of these instants, in order, one lies; -1 where it is outside of all. */
function spanOf(ms: number, starts: readonly number[]): number {
  let [low, high] = [0, starts.length - 1];
  if (!(ms >= (starts[low] ?? Infinity) && ms < (starts[high] ?? -Infinity))) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ms >= (starts[middle] ?? 0)) low = middle;
    else high = middle;
  }
  return low;
}

/** How many weeks back and ahead tell what is usual, and how many of them must have posts. */
const BACK = 8;
const AHEAD = 4;
const ENOUGH = 2;

/** How many posts a week usually has: the median of those around this one that have any; 0 where too few have. */
export function cadence(posts: Iterable<Brief>, thisWeek: Day, zone: string): number {
  const weeks = Array.from({ length: BACK + AHEAD }, (_, i) => addDays(thisWeek, 7 * (i - BACK)));
  const starts = startsOf(weeks, 7, zone);
  const counts = new Map<number, number>();
  for (const post of posts) {
    if (post.state === 'cancelled' || post.state === 'draft') continue;
    const week = spanOf(dueAt(post), starts);
    if (week >= 0) counts.set(week, (counts.get(week) ?? 0) + 1);
  }
  const sorted = [...counts.values()].sort((a, b) => a - b);
  return sorted.length < ENOUGH ? 0 : (sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
}

/** In each week that has fewer posts than usual: its first empty day from `from` on, and how many are missing. */
export function gaps(weeks: readonly Day[][], days: Days, usual: number, from: Day): ReadonlyMap<Day, number> {
  const found = new Map<Day, number>();
  for (const week of weeks) {
    if (!usual || (week.at(-1) ?? '') < from) continue;
    const planned = week.reduce((n, day) => n + (days.get(day)?.filter((p) => p.state !== 'cancelled').length ?? 0), 0);
    const empty = week.find((day) => day >= from && !days.get(day)?.length);
    if (planned < usual && empty) found.set(empty, usual - planned);
  }
  return found;
}
