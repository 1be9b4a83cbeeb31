// Times as people read them. Every format is made once: chips are many.

import { locale } from '../app/i18n';
import { utc, type Day, type Month } from './calendar';
import { dayOf } from './zone';

const made = new Map<string, Intl.DateTimeFormat>();

/** `09:00` */
export const time = (ms: number, zone: string) => format({ timeStyle: 'short', timeZone: zone }, ms);
/** `09:00:12` */
export const clockTime = (ms: number, zone: string) => format({ timeStyle: 'medium', timeZone: zone }, ms);
/** `Tue 24 Nov, 09:00` */
export const dateTime = (ms: number, zone: string) =>
  format({ weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: zone }, ms);
/** `10:30`, or with its day where that is another one than `beside`'s. */
export const nearTime = (ms: number, beside: number, zone: string) =>
  dayOf(ms, zone) === dayOf(beside, zone) ? time(ms, zone) : dateTime(ms, zone);
/** `24 Nov, 09:00:12` */
export const exact = (ms: number, zone: string) =>
  format({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: zone }, ms);
/** `24 Nov` */
export const dayDate = (ms: number, zone: string) => format({ day: 'numeric', month: 'short', timeZone: zone }, ms);
/** `Tuesday 24 November 2026` */
export const longDay = (day: Day) => format({ dateStyle: 'full', timeZone: 'UTC' }, utc(day));
/** `Tuesday 24 November` */
export const weekdayDay = (day: Day) =>
  format({ weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' }, utc(day));
/** `November 2026` */
export const monthName = (month: Month) => format({ month: 'long', year: 'numeric', timeZone: 'UTC' }, utc(`${month}-01`));
export const monthWord = (month: Month) => format({ month: 'long', timeZone: 'UTC' }, utc(`${month}-01`));
/** `Tue` */
export const shortWeekday = (day: Day) => format({ weekday: 'short', timeZone: 'UTC' }, utc(day));
export const longWeekday = (day: Day) => format({ weekday: 'long', timeZone: 'UTC' }, utc(day));
/** `Dec` */
export const shortMonth = (day: Day) => format({ month: 'short', timeZone: 'UTC' }, utc(day));

/** `24 December 2026` */
export const longDate = (day: Day) => format({ dateStyle: 'long', timeZone: 'UTC' }, utc(day));
/** `24 December` */
export const yearDay = (day: Day) => format({ day: 'numeric', month: 'long', timeZone: 'UTC' }, utc(day));
/** `a, b and c` */
export const listed = (words: readonly string[]) => new Intl.ListFormat(locale).format(words);
/** `one` of 1st, `two` of 22nd, …: how the language counts in order. */
export const ordinalForm = (n: number) => ordinals.select(n);
const ordinals = new Intl.PluralRules(locale, { type: 'ordinal' });

/** `09:00` of the ninth hour, whatever the day. */
export const hourName = (hour: number) => format({ timeStyle: 'short', timeZone: 'UTC' }, hour * 3_600_000);
/** `GMT`, `CEST`: what tells two hours of one name apart. */
export const zoneName = (ms: number, zone: string) =>
  of({ timeZoneName: 'short', timeZone: zone }).formatToParts(ms).find((p) => p.type === 'timeZoneName')?.value ?? '';
/** `23 – 29 November 2026` */
export const daysName = (first: Day, last: Day) =>
  of({ day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }).formatRange(utc(first), utc(last));

/** `3 minutes ago`, `in 2 hours` */
export function ago(ms: number, now: number): string {
  const seconds = Math.round((ms - now) / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(0, 'second');
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1e6) return `${Math.round(n / 1000)} kB`;
  if (n < 1e9) return `${(n / 1e6).toFixed(1)} MB`;
  return `${(n / 1e9).toFixed(1)} GB`;
}

/** `0:02`, `12:05`, `1:02:05`: the length of a video. */
export function clip(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 10],
];

function format(options: Intl.DateTimeFormatOptions, ms: number): string {
  return of(options).format(ms);
}
function of(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let f = made.get(key);
  if (!f) {
    f = new Intl.DateTimeFormat(locale, options);
    made.set(key, f);
  }
  return f;
}
