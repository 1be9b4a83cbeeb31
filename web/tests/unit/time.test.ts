import { describe, expect, test } from 'vitest';
import { addDays, addMonths, isDay, isMonth, range, weekday, weekOf, weeksOf } from '../../src/time/calendar';
import { clip } from '../../src/time/format';
import { isSecond, minutesOn, shiftOf } from '../../src/time/shift';
import { at, dayOf, toWall, wallText } from '../../src/time/zone';

const HOUR = 3_600_000;

describe('the grid of a month', () => {
  test('whole weeks from Monday', () => {
    const weeks = weeksOf('2026-11', 1);
    expect(weeks.length).toBe(6);
    expect(weeks[0]?.[0]).toBe('2026-10-26');
    expect(weeks[5]?.[6]).toBe('2026-12-06');
  });
  test('whole weeks from Sunday', () => {
    const weeks = weeksOf('2026-11', 7);
    expect(weeks.length).toBe(5);
    expect(weeks[0]?.[0]).toBe('2026-11-01');
    expect(weeks[4]?.[6]).toBe('2026-12-05');
  });
  test('a February of four weeks has four', () => {
    expect(weeksOf('2027-02', 1).length).toBe(4);
  });
  test('every day is there once, whatever the month and the first weekday', () => {
    for (let month = '2025-01'; month < '2029-01'; month = addMonths(month, 1)) {
      for (const start of [1, 6, 7]) {
        const days = weeksOf(month, start).flat();
        expect(new Set(days).size).toBe(days.length);
        expect(days.every((day, i) => i === 0 || day === addDays(days[i - 1] ?? '', 1))).toBe(true);
        expect(days).toContain(`${month}-01`);
        expect(days).toContain(addDays(`${addMonths(month, 1)}-01`, -1));
        expect(weekday(days[0] ?? '')).toBe(start);
      }
    }
  });
  test('months and days cross years', () => {
    expect(addMonths('2026-12', 1)).toBe('2027-01');
    expect(addMonths('2026-01', -1)).toBe('2025-12');
    expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
    expect(addDays('2028-02-28', 1)).toBe('2028-02-29');
  });
  test('only months are months', () => {
    expect(['2026-11', '2026-13', '2026-1', '', null].map(isMonth)).toEqual([true, false, false, false, false]);
  });
});

describe('clock changes', () => {
  test('the range of a month with a change is an hour shorter or longer', () => {
    const march = range(weeksOf('2026-03', 1), 'Europe/London');
    expect(march.to - march.from).toBe(6 * 7 * 24 * HOUR - HOUR);
    const october = range(weeksOf('2026-10', 1), 'Europe/London');
    expect(october.to - october.from).toBe(5 * 7 * 24 * HOUR + HOUR);
  });
  test('a skipped wall time means the same distance after the gap', () => {
    expect(new Date(at('2026-03-29', '01:30', 'Europe/London')).toISOString()).toBe('2026-03-29T01:30:00.000Z');
    expect(wallText(at('2026-03-29', '01:30', 'Europe/London'), 'Europe/London')).toBe('2026-03-29T02:30');
  });
  test('a wall time that occurs twice means the first', () => {
    expect(new Date(at('2026-10-25', '01:30', 'Europe/London')).toISOString()).toBe('2026-10-25T00:30:00.000Z');
    expect(new Date(at('2026-11-01', '01:30', 'America/New_York')).toISOString()).toBe('2026-11-01T05:30:00.000Z');
  });
  test('any other wall time comes back as it went', () => {
    for (const zone of ['UTC', 'Europe/London', 'America/St_Johns', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Apia']) {
      for (let day = '2026-01-01'; day < '2027-01-01'; day = addDays(day, 5)) {
        expect(wallText(at(day, '12:15', zone), zone)).toBe(`${day}T12:15`);
      }
    }
  });
  test('midnight is hour 0 of its own day', () => {
    expect(toWall(at('2026-11-23', '00:00', 'Europe/Berlin'), 'Europe/Berlin')).toMatchObject({ day: 23, hour: 0 });
    expect(dayOf(Date.parse('2026-11-22T23:30:00Z'), 'Europe/Berlin')).toBe('2026-11-23');
  });
});

test('the length of a video', () => {
  expect([0, 1_499, 2_000, 65_400, 3_725_000].map(clip)).toEqual(['0:00', '0:01', '0:02', '1:05', '1:02:05']);
});

describe('the grid of a week', () => {
  test('begins where the week does', () => {
    expect(weekOf('2026-11-26', 1)).toEqual(['2026-11-23', '2026-11-24', '2026-11-25', '2026-11-26', '2026-11-27', '2026-11-28', '2026-11-29']);
    expect(weekOf('2026-11-22', 7)[0]).toBe('2026-11-22');
  });
  test('a day is one that exists', () => {
    expect(isDay('2026-11-30')).toBe(true);
    for (const no of ['2026-11-31', '2026-02-29', '2026-13-01', '2026-1-1', 'today', null]) expect(isDay(no), String(no)).toBe(false);
  });
});

describe('days on which clocks change', () => {
  // A day of 23 or 25 hours as clocks show it; the usual hour, half an hour, and at midnight.
  test.each([
    ['2026-11-23', 'Europe/London', null],
    ['2026-03-29', 'Europe/London', ['missing', '01:00', '02:00']],
    ['2026-10-25', 'Europe/London', ['twice', '01:00', '02:00']],
    ['2026-03-08', 'America/New_York', ['missing', '02:00', '03:00']],
    ['2026-10-04', 'Australia/Lord_Howe', ['missing', '02:00', '02:30']],
    ['2026-04-05', 'Australia/Lord_Howe', ['twice', '01:30', '02:00']],
    ['2026-09-06', 'America/Santiago', ['missing', '00:00', '01:00']],
    ['2026-04-04', 'America/Santiago', ['twice', '23:00', '24:00']],
    ['2026-04-05', 'America/Santiago', null],
    ['2026-03-29', 'Asia/Kathmandu', null],
  ])('%s in %s', (day, zone, expected) => {
    const shift = shiftOf(day, zone);
    const clock = (m: number) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`;
    expect(shift && [shift.kind, clock(shift.from), clock(shift.to)]).toEqual(expected);
    // Where a chip lies agrees with the clock all day long.
    const minutes = minutesOn(day, shift, zone);
    for (let ms = at(day, '00:00', zone); dayOf(ms, zone) === day; ms += 7 * 60_000) expect(clock(minutes(ms))).toBe(wallText(ms, zone).slice(11));
  });
  test('of an hour that comes twice the second is told from the first', () => {
    expect(isSecond(Date.parse('2026-10-25T00:30:00Z'), 'Europe/London')).toBe(false);
    expect(isSecond(Date.parse('2026-10-25T01:30:00Z'), 'Europe/London')).toBe(true);
    expect(isSecond(Date.parse('2026-11-23T01:30:00Z'), 'Europe/London')).toBe(false);
  });
});
