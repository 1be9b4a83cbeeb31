// Days and months as plain text (`2026-11-23`, `2026-11`): no instant, no zone, so that no clock
// change can shift a grid. Only `range` meets a zone, to ask the server for what a grid shows.

import { at } from './zone';

export type Day = string;
export type Month = string;

/** Whole weeks that contain the month; `weekStart` 1 = Monday … 7 = Sunday. */
export function weeksOf(month: Month, weekStart: number): Day[][] {
  const first = `${month}-01`;
  const lead = (weekday(first) - weekStart + 7) % 7;
  const weeks: Day[][] = [];
  let day = addDays(first, -lead);
  do {
    weeks.push(Array.from({ length: 7 }, (_, i) => addDays(day, i)));
    day = addDays(day, 7);
  } while (day.startsWith(month));
  return weeks;
}

/** The first instant of the first day and the last before the day after the last one. */
export function range(weeks: Day[][], zone: string): { from: number; to: number } {
  const first = weeks[0]?.[0] ?? '';
  const last = weeks.at(-1)?.at(-1) ?? '';
  return { from: at(first, '00:00', zone), to: at(addDays(last, 1), '00:00', zone) };
}

/** A text that is no day stays one that is no day. */
export function addDays(day: Day, n: number): Day {
  return Number.isNaN(utc(day)) ? 'NaN' : new Date(utc(day) + n * 86_400_000).toISOString().slice(0, 10);
}

export function addMonths(month: Month, n: number): Month {
  const [year = 0, m = 1] = month.split('-').map(Number);
  return new Date(Date.UTC(year, m - 1 + n, 1)).toISOString().slice(0, 7);
}

export function monthOf(day: Day): Month {
  return day.slice(0, 7);
}

/** 1 = Monday … 7 = Sunday */
export function weekday(day: Day): number {
  return new Date(utc(day)).getUTCDay() || 7;
}

export function isMonth(text: string | null): text is Month {
  return text !== null && /^\d{4}-(0[1-9]|1[0-2])$/.test(text);
}

export function isDay(text: string | null): text is Day {
  return text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && addDays(text, 0) === text;
}

/** `n` days from this one on, or the week that holds it when it begins on `weekStart`. */
export function daysFrom(day: Day, n: number): Day[] {
  return Array.from({ length: n }, (_, i) => addDays(day, i));
}
export function weekOf(day: Day, weekStart: number): Day[] {
  return daysFrom(addDays(day, -((weekday(day) - weekStart + 7) % 7)), 7);
}

/** Midnight UTC of the day: for Intl formats with `timeZone: 'UTC'`. */
export function utc(day: Day): number {
  return Date.parse(`${day}T00:00:00Z`);
}

/** The first day of the week where the reader lives. */
export function weekStart(language: string): number {
  const found = new Intl.Locale(language) as Intl.Locale & {
    getWeekInfo?: () => { firstDay: number };
    weekInfo?: { firstDay: number };
  };
  return found.getWeekInfo?.().firstDay ?? found.weekInfo?.firstDay ?? 1;
}
