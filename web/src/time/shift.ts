// Where a zone's clocks are put forward or back on a day, in wall time: the hour that is not there,
// or the one that comes twice. For grids whose rows are wall times.

import type { Day } from './calendar';
import { addDays } from './calendar';
import { at, toWall } from './zone';

export interface Shift {
  kind: 'missing' | 'twice';
  /** Minutes after midnight by the clock, `to` not included. */
  from: number;
  to: number;
}

const MINUTE = 60_000;

/** null on a day of 24 hours. */
export function shiftOf(day: Day, zone: string): Shift | null {
  const start = at(day, '00:00', zone) - MINUTE;
  const end = at(addDays(day, 1), '00:00', zone) - MINUTE;
  const before = offset(start, zone);
  const after = offset(end, zone);
  if (before === after) return null;
  let [low, high] = [start, end];
  while (high - low > MINUTE) {
    const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
    if (offset(middle, zone) === before) low = middle;
    else high = middle;
  }
  // `high` is the first minute by the new clock.
  const midnight = Date.parse(`${day}T00:00:00Z`);
  const old = (high + before - midnight) / MINUTE;
  const now = (high + after - midnight) / MINUTE;
  return old < now ? { kind: 'missing', from: old, to: now } : { kind: 'twice', from: now, to: old };
}

/** Tells the minutes after midnight by the clock, of instants on that day: its zone is asked once, unless its clocks are put. */
export function minutesOn(day: Day, shift: Shift | null, zone: string): (ms: number) => number {
  const midnight = at(day, '00:00', zone);
  if (!shift) return (ms) => Math.floor((ms - midnight) / MINUTE);
  return (ms) => {
    const { hour, minute } = toWall(ms, zone);
    return hour * 60 + minute;
  };
}

/** Is this instant in the second run of an hour that comes twice? */
export function isSecond(ms: number, zone: string): boolean {
  const wall = toWall(ms, zone);
  const minutes = wall.hour * 60 + wall.minute;
  const day = `${wall.year}-${two(wall.month)}-${two(wall.day)}`;
  return at(day, `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`, zone) < Math.floor(ms / MINUTE) * MINUTE;
}

function offset(ms: number, zone: string): number {
  const w = toWall(ms, zone);
  return Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute) - Math.floor(ms / MINUTE) * MINUTE;
}

const two = (n: number) => String(n).padStart(2, '0');
