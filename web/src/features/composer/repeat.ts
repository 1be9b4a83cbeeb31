// How a post repeats, as people choose it, and as the rule of RFC 5545 that it means.

import { weekday, type Day } from '../../time/calendar';

export type Often = 'never' | 'daily' | 'workdays' | 'weekly' | 'monthly' | 'monthlyDay' | 'yearly' | 'own';
export type Ends = 'never' | 'count' | 'until';
export interface Repeat {
  often: Often;
  /** Every so many days, weeks, months, years. */
  every: number;
  /** Of a weekly one: `MO`, …; none: the day of the first one. */
  days: string[];
  ends: Ends;
  count: number;
  until: Day;
  /** A rule of one's own. */
  rule: string;
}

export const WEEKDAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
export const NEVER: Repeat = { often: 'never', every: 1, days: [], ends: 'never', count: 12, until: '', rule: '' };

/** The rule, or `null` where nothing repeats. `day` is that of the first one. */
export function ruleOf(repeat: Repeat, day: Day): string | null {
  const base = baseOf(repeat, day);
  if (base === null || repeat.often === 'own') return base;
  const every = repeat.every > 1 && repeat.often !== 'workdays' ? `;INTERVAL=${repeat.every}` : '';
  const end = { never: '', count: `;COUNT=${repeat.count}`, until: repeat.until ? `;UNTIL=${repeat.until.replaceAll('-', '')}` : '' };
  return base + every + end[repeat.ends];
}

function baseOf({ often, days, rule }: Repeat, day: Day): string | null {
  const own = WEEKDAYS[weekday(day) - 1] ?? 'MO';
  switch (often) {
    case 'never':
      return null;
    case 'daily':
      return 'FREQ=DAILY';
    case 'workdays':
      return 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR';
    case 'weekly':
      return `FREQ=WEEKLY;BYDAY=${days.length ? WEEKDAYS.filter((d) => days.includes(d)).join(',') : own}`;
    case 'monthly':
      return `FREQ=MONTHLY;BYMONTHDAY=${Number(day.slice(8))}`;
    case 'monthlyDay':
      return `FREQ=MONTHLY;BYDAY=${nthOf(day)}${own}`;
    case 'yearly':
      return 'FREQ=YEARLY';
    case 'own':
      return rule.trim() || null;
  }
}

/** Which one of its weekday a day is in its month; the fifth is the last. */
export function nthOf(day: Day): number {
  const nth = Math.ceil(Number(day.slice(8)) / 7);
  return nth > 4 ? -1 : nth;
}
