import { expect, test } from 'vitest';
import { formOf, newFields } from '../../src/features/campaigns/form';
import { NEVER, nthOf, ruleOf } from '../../src/features/composer/repeat';
import { inWeek } from '../../src/features/planner/bars';

const DAY = '2026-11-24'; // a Tuesday, the fourth of its month

test('a choice is a rule', () => {
  const of = (change: Partial<typeof NEVER>) => ruleOf({ ...NEVER, ...change }, DAY);
  expect(of({})).toBe(null);
  expect(of({ often: 'weekly' })).toBe('FREQ=WEEKLY;BYDAY=TU');
  expect(of({ often: 'weekly', every: 2, days: ['TH', 'MO'], ends: 'count', count: 12 })).toBe('FREQ=WEEKLY;BYDAY=MO,TH;INTERVAL=2;COUNT=12');
  expect(of({ often: 'workdays', every: 3 })).toBe('FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR');
  expect(of({ often: 'monthlyDay', ends: 'until', until: '2027-06-30' })).toBe('FREQ=MONTHLY;BYDAY=4TU;UNTIL=20270630');
  expect(of({ often: 'monthly' })).toBe('FREQ=MONTHLY;BYMONTHDAY=24');
  expect(of({ often: 'own', rule: ' FREQ=YEARLY ', every: 5 })).toBe('FREQ=YEARLY');
  expect(nthOf('2026-11-30')).toBe(-1);
});

test('a form says what its kind asks, and nothing else', () => {
  const fields = { ...newFields('weekly', 'Europe/London', DAY, ['c']), weekdays: ['TU'], weeks: '', goals: 'one\n\n two ' };
  const weekly = formOf(fields, { draft: true });
  expect(weekly.dates).toEqual({ time: '07:00', event: null, from: '2026-11-25', to: null, weekdays: ['TU'], weeks: null, without: [], also: [] });
  expect([weekly.goals, weekly.budget, weekly.post.draft]).toEqual([['one', 'two'], null, true]);
  const event = formOf({ ...fields, kind: 'event', event: '2026-12-24T19:30', amount: '250.00', currency: 'gbp' }, { draft: false, allowed: ['collision'] });
  expect(event.dates.from).toBe(null);
  expect(event.budget).toEqual({ amount: '250.00', currency: 'GBP' });
  expect([event.post.draft, event.post.allowCollision, event.post.allowDuplicate]).toEqual([undefined, true, undefined]);
});

test('a bar is cut at its week', () => {
  const week = ['2026-11-23', '2026-11-24', '2026-11-25', '2026-11-26', '2026-11-27', '2026-11-28', '2026-11-29'];
  const bar = { id: 'a', name: 'Concert', first: '2026-11-25', last: '2026-12-02', ink: 'scheduled' as const };
  expect(inWeek(bar, week)).toMatchObject({ from: 3, to: 8, begins: true, ends: false });
  expect(inWeek({ ...bar, first: '2026-11-01', last: '2026-11-23' }, week)).toMatchObject({ from: 1, to: 2, begins: false, ends: true });
  expect(inWeek({ ...bar, first: '2026-11-30' }, week)).toBe(null);
});
