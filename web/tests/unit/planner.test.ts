import { describe, expect, test } from 'vitest';
import type { Brief, PostState } from '../../src/api/types';
import { cadence, byDay, gaps } from '../../src/features/planner/days';
import { CHIP, laid } from '../../src/features/planner/lanes';
import { minutesOn } from '../../src/time/shift';
import { EVERYTHING, hrefOf, isNarrowed, matches, placeOf, toggled } from '../../src/features/planner/place';

let n = 0;
const post = (scheduledAt: string, more: Partial<Brief> = {}): Brief => ({
  id: `p${n++}`, text: 'Fresh bread', title: null, state: 'scheduled' as PostState, scheduledAt, updatedAt: '', version: 1,
  deliveries: [{ id: 'd', connectionId: 'c1', network: 'bluesky', state: 'queued' }], ...more,
});

describe('the address of a place', () => {
  const place = (path: string) => placeOf(new URL(path, 'http://x'));
  test.each([
    '/planner', '/planner/week', '/planner/week/2026-11-23', '/planner/month/2026-12', '/planner/agenda/2026-12',
    '/planner/month/2026-12?network=bluesky,mastodon&connection=c1&state=failed,held&text=50+%25+off',
  ])('%s is read and written alike', (path) => {
    expect(hrefOf(place(path) ?? { view: null, day: '1999-01-01', filter: EVERYTHING })).toBe(path);
  });
  test('what is no place is none', () => {
    for (const path of ['/posts/1', '/planner/year', '/planner/week/2026-11-31', '/planner/week/2026-11-23/x', '/plan']) expect(place(path), path).toBeNull();
  });
  test('months as they were named before, and the root', () => {
    expect(place('/planner?month=2031-01')).toEqual({ view: null, day: '2031-01-01', filter: EVERYTHING });
    expect(place('/')).toEqual({ view: null, day: null, filter: EVERYTHING });
  });
  test('a state that nobody knows filters nothing', () => {
    expect(isNarrowed(place('/planner?state=lost,')?.filter ?? { ...EVERYTHING, text: 'x' })).toBe(false);
  });
});

describe('filters', () => {
  const one = post('2026-11-24T09:00:00Z');
  test('any value of a part, all of the parts', () => {
    const filter = toggled(toggled(EVERYTHING, 'networks', 'mastodon'), 'networks', 'bluesky');
    expect(matches(one, filter, null)).toBe(true);
    expect(matches(one, { ...filter, states: ['failed'] }, null)).toBe(false);
    expect(matches(one, { ...filter, connections: ['c2'] }, null)).toBe(false);
    expect(toggled(filter, 'networks', 'bluesky').networks).toEqual(['mastodon']);
  });
  test('words, in what is known or what the server found', () => {
    expect(matches(one, { ...EVERYTHING, text: ' BREAD ' }, null)).toBe(true);
    expect(matches(one, { ...EVERYTHING, text: 'soup' }, null)).toBe(false);
    expect(matches(one, { ...EVERYTHING, text: 'soup' }, new Set([one.id]))).toBe(true);
  });
});

describe('days', () => {
  test('posts are in the day of the zone, by time', () => {
    const posts = [post('2026-11-23T18:30:00Z'), post('2026-11-23T18:00:00Z'), post('2026-11-23T02:00:00Z'), post('2026-11-24T18:15:00Z')];
    const days = byDay(posts, ['2026-11-23', '2026-11-24'], 'Asia/Kathmandu');
    expect([...days].map(([day, of]) => [day, of.map((p) => posts.indexOf(p))])).toEqual([['2026-11-24', [0]], ['2026-11-23', [2, 1]]]);
  });
  test('a day of 23 hours and the one after it keep their posts apart', () => {
    const posts = [post('2026-03-28T23:59:00Z'), post('2026-03-29T22:59:00Z'), post('2026-03-29T23:00:00Z')];
    const days = byDay(posts, ['2026-03-28', '2026-03-29', '2026-03-30'], 'Europe/London');
    expect([...days].map(([day, of]) => [day, of.map((p) => posts.indexOf(p))])).toEqual([['2026-03-28', [0]], ['2026-03-29', [1]], ['2026-03-30', [2]]]);
  });
  test('the usual number of a week is that in the middle, and unknown from one week', () => {
    const week = (start: string, count: number) => Array.from({ length: count }, () => post(`${start}T09:00:00Z`));
    const past = [...week('2026-11-17', 3), ...week('2026-11-10', 5), ...week('2026-11-03', 4), ...week('2026-07-03', 50)];
    expect(cadence(past, '2026-11-23', 'UTC')).toBe(4);
    expect(cadence(past.slice(0, 3), '2026-11-23', 'UTC')).toBe(0);
    expect(cadence(past.map((p) => ({ ...p, state: 'cancelled' as const })), '2026-11-23', 'UTC')).toBe(0);
  });
  test('a week below it has a gap on its first empty day to come', () => {
    const weeks = [['2026-11-23', '2026-11-24', '2026-11-25'], ['2026-11-30', '2026-12-01', '2026-12-02'], ['2026-11-16', '2026-11-17', '2026-11-18']];
    const days = new Map([['2026-11-24', [post('2026-11-24T09:00:00Z')]], ['2026-11-30', [post('2026-11-30T09:00:00Z'), post('2026-11-30T10:00:00Z')]]]);
    expect([...gaps(weeks, days, 2, '2026-11-24')]).toEqual([['2026-11-25', 1]]);
    expect(gaps(weeks, days, 0, '2026-11-24').size).toBe(0);
  });
});

describe('a day whose rows are times', () => {
  const lay = (...times: string[]) => laid(times.map((time) => post(`2026-11-23T${time}:00Z`)), minutesOn('2026-11-23', null, 'UTC'));
  test('what does not overlap has the whole width, what does shares it', () => {
    expect(lay('09:00', '10:00').chips.map((c) => [c.minutes, c.lane, c.of])).toEqual([[540, 0, 1], [600, 0, 1]]);
    expect(lay('09:00', '09:30', '12:00').chips.map((c) => [c.lane, c.of])).toEqual([[0, 2], [1, 2], [0, 1]]);
  });
  test('a third one at once is counted with its hour', () => {
    const { chips, rest } = lay('09:00', '09:00', '09:00', '09:10', '10:10');
    expect(chips.length).toBe(3);
    expect(rest.map((r) => [r.hour, r.posts.length])).toEqual([[9, 2]]);
  });
  test('the last minutes of a day stay on the sheet', () => {
    expect(lay('23:59').chips[0]?.minutes).toBe(1440 - CHIP);
  });
  test('a thousand posts mount few chips', () => {
    const posts = Array.from({ length: 1000 }, (_, i) => post(new Date(Date.UTC(2026, 10, 23) + Math.floor(i * 86.4) * 1000).toISOString()));
    const { chips, rest } = laid(posts, minutesOn('2026-11-23', null, 'UTC'));
    expect(chips.length).toBeLessThanOrEqual((1440 / CHIP) * 2);
    expect(chips.length + rest.reduce((n, r) => n + r.posts.length, 0)).toBe(1000);
  });
});
