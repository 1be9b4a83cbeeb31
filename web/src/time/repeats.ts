// A rule of RFC 5545 as a person says it: "Every second Tuesday at 07:00 (Europe/London), 12 times".
// The server says the same in English (domain/recurrence/words.rs); this is for every language.

import { t, word } from '../app/i18n';
import { listed, longDate, longWeekday, ordinalForm, time, yearDay } from './format';

/** What of a series says how it repeats; `start` is the wall-clock time of the first one. */
export interface Repeating {
  rule: string;
  start: string;
  timezone: string;
}

/** Monday is the first of June 2026. */
const DAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
const nameOf = (day: string) => longWeekday(`2026-06-0${DAYS.indexOf(day) + 1}`);
const dayOf = (start: string) => DAYS[(new Date(`${start.slice(0, 10)}T00:00:00Z`).getUTCDay() + 6) % 7] ?? 'MO';

/** One sentence without its full stop. */
export function repeats({ rule, start, timezone }: Repeating): string {
  const { COUNT, UNTIL, ...parts } = Object.fromEntries(rule.split(';').map((part) => part.split('=', 2))) as Record<string, string>;
  const bare = Object.entries(parts).map((part) => part.join('=')).join(';');
  const often = simple(parts, start) ?? t('repeats.rule', { rule: bare });
  const at = t('repeats.at', { often, time: time(Date.parse(`${start}Z`), 'UTC'), zone: timezone });
  if (COUNT) return COUNT === '1' ? t('repeats.once', { at }) : t('repeats.times', { at, n: COUNT });
  if (UNTIL) return t('repeats.until', { at, date: longDate(`${UNTIL.slice(0, 4)}-${UNTIL.slice(4, 6)}-${UNTIL.slice(6, 8)}`) });
  return at;
}

/** `null` where a rule says more than people do. */
function simple({ FREQ, INTERVAL = '1', WKST: _, ...more }: Record<string, string>, start: string): string | null {
  const n = Number(INTERVAL);
  const only = (...names: string[]) => Object.keys(more).every((name) => names.includes(name));
  const nth = counted(n);
  const days = more.BYDAY?.split(',') ?? [];
  switch (FREQ) {
    case 'DAILY':
      if (!only()) return null;
      return n === 1 ? t('repeats.daily') : t('repeats.daily.nth', { nth });
    case 'WEEKLY': {
      if (!only('BYDAY') || !days.every((day) => DAYS.includes(day))) return null;
      const on = days.length ? days : [dayOf(start)];
      if (n === 1 && isWorkingWeek(on)) return t('repeats.workdays');
      const names = listed(on.map(nameOf));
      if (n === 1) return t('repeats.weekly', { days: names });
      return on.length === 1 ? t('repeats.weekly.nth', { nth, day: names }) : t('repeats.weeks.nth', { nth: ofWeek(n), days: names });
    }
    case 'MONTHLY': {
      const on = only('BYDAY', 'BYMONTHDAY', 'BYSETPOS') ? ofMonth(days, more.BYMONTHDAY, more.BYSETPOS, start) : null;
      return on && (n === 1 ? t('repeats.monthly', { days: on }) : t('repeats.monthly.nth', { nth, days: on }));
    }
    case 'YEARLY': {
      const [month = start.slice(5, 7), day = start.slice(8, 10)] = [more.BYMONTH, more.BYMONTHDAY];
      const whole = !more.BYMONTH === !more.BYMONTHDAY;
      if (!only('BYMONTH', 'BYMONTHDAY') || !whole || !/^\d+$/.test(month) || !/^\d+$/.test(day)) return null;
      // 2024 has a 29th of February.
      const date = yearDay(`2024-${month.padStart(2, '0')}-${day.padStart(2, '0')}`);
      return n === 1 ? t('repeats.yearly', { date }) : t('repeats.yearly.nth', { nth: ofWeek(n), date });
    }
    default:
      return null;
  }
}

/** "the 15th", "the last Friday", "the last weekday" */
function ofMonth(days: string[], numbers: string | undefined, position: string | undefined, start: string): string | null {
  if (!days.length && !position) {
    const of = (numbers ?? String(Number(start.slice(8, 10)))).split(',').map(Number);
    return listed(of.map((n) => (n === -1 ? t('repeats.lastDay') : n < 0 ? t('repeats.fromEnd', { nth: ordinal(-n) }) : t('repeats.dayOf', { nth: ordinal(n) }))));
  }
  if (numbers) return null;
  if (position) return isWorkingWeek(days) && Number(position) ? t('repeats.workdayOf', { place: place(Number(position)) }) : null;
  const found = days.map((day) => /^(-?\d+)([A-Z]{2})$/.exec(day));
  if (!found.every((match) => match !== null)) return null;
  return listed(found.map(([, nth, day]) => t('repeats.weekdayOf', { place: place(Number(nth)), day: nameOf(day ?? '') })));
}

const isWorkingWeek = (days: string[]) => days.length === 5 && DAYS.slice(0, 5).every((day) => days.includes(day));

/** `22nd` */
const ordinal = (n: number) => word('repeats.th', ordinalForm(n)).replace('{n}', String(n));
/** 2: "second", 3: "third", 4: "4th"; of days and months, and of weeks and years, where a language tells them apart. */
const counted = (n: number) => (n === 2 || n === 3 ? word('repeats.nth', String(n)) : ordinal(n));
const ofWeek = (n: number) => (n === 2 || n === 3 ? word('repeats.nthWeek', String(n)) : ordinal(n));
/** The place of a weekday in its month. */
function place(n: number): string {
  if (n === 1 || n === -1 || n === -2) return word('repeats.place', String(n));
  return n > 0 ? counted(n) : t('repeats.placeFromEnd', { nth: ordinal(-n) });
}
