// What the card of a connection says of its budgets, and the report of its checks.

import { expect, test } from 'vitest';
import type { BudgetLeft, CheckResult, Connection, Placement } from '../../src/api/types';
import { budgetLines } from '../../src/features/connections/budget';
import { report, verdict } from '../../src/features/connections/report';
import { dateTime, time } from '../../src/time/format';

const NOW = Date.parse('2026-11-24T09:00:00Z');
// In the language of whoever runs this.
const MIDNIGHT = dateTime(Date.parse('2026-11-25T00:00:00Z'), 'Europe/London');
const SOON = time(Date.parse('2026-11-24T09:01:00Z'), 'Europe/London');
const feed = { id: 'feed', name: 'Post' } as Placement;
const reel = { id: 'reel', name: 'Reel' } as Placement;
const day: BudgetLeft = { posts: 100, seconds: 86_400, left: 97, atOnce: 100, moreAt: '2026-11-25T00:00:00Z', placements: ['feed'], shared: false };
const lines = (...budgets: Partial<BudgetLeft>[]) =>
  budgetLines({ budgets: budgets.map((b) => ({ ...day, ...b })) } as Connection, [feed], NOW, 'Europe/London');

test('of a day: what is left, and until when', () => {
  expect(lines({})).toEqual([`97 of 100 until ${MIDNIGHT}`]);
  expect(lines({ left: 100, moreAt: null })).toEqual(['all of 100 in 1 day']);
  expect(lines({ left: 0 })).toEqual([`none until ${MIDNIGHT}, 100 in 1 day`]);
});

test('of minutes: what may go at once', () => {
  const short = { posts: 300, seconds: 300, atOnce: 75 };
  expect(lines({ ...short, left: 75, moreAt: null })).toEqual(['75 of 75 now, 300 in 5 minutes']);
  expect(lines({ ...short, left: 0, moreAt: '2026-11-24T09:01:00Z' })).toEqual([`none until ${SOON}, 300 in 5 minutes`]);
});

test('one that cannot be read lets nothing through', () => {
  expect(lines({ left: 0, moreAt: null })).toEqual(['what was spent cannot be read, so nothing goes out']);
});

test('a budget of seconds is nothing to run out of', () => {
  expect(lines({ posts: 1, seconds: 1, left: 1, atOnce: 1, moreAt: null })).toEqual([]);
});

test('what it counts is named where that is not all, and whose it is', () => {
  const c = { budgets: [{ ...day, placements: ['reel'] }] } as Connection;
  expect(budgetLines(c, [feed, reel], NOW, 'Europe/London')).toEqual([`Reel: 97 of 100 until ${MIDNIGHT}`]);
  expect(lines({ shared: true })).toEqual([`97 of 100 until ${MIDNIGHT} (all accounts together)`]);
});

test('the report says which account, when, each check in order and what to do', () => {
  const connection = { id: 'c1', network: 'mastodon', name: '@anchor', remoteId: '42', lastPublishedAt: null, token: { scopes: ['read', 'write'] } };
  const checks = [
    { name: 'address', ok: true, detail: 'The address may be spoken to.', action: null },
    { name: 'rights', ok: false, detail: 'The token was revoked.', action: 'reconnect' },
  ];
  const text = report({ ok: false, checks, connection } as unknown as CheckResult, new Date(NOW));
  expect(text.split('\n')).toEqual([
    '@anchor (mastodon, c1)',
    '2026-11-24T09:00:00.000Z',
    'It cannot publish at the moment.',
    '1. OK   Address: The address may be spoken to.',
    '2. FAIL Rights: The token was revoked.',
    expect.stringMatching(/^ {3}→ \w+/),
    'Account id: 42',
    'Granted rights: read write',
    '',
  ]);
});

test('clocks that disagree stop no post', () => {
  const found = (...checks: object[]) => ({ ok: checks.every((c) => (c as { ok: boolean }).ok), checks }) as unknown as CheckResult;
  const [clock, rights] = [{ name: 'clock', ok: false }, { name: 'rights', ok: false }];
  expect(verdict(found({ name: 'rights', ok: true }))).toBe('connection.checkOk');
  expect(verdict(found(clock, { name: 'rights', ok: true }))).toBe('connection.checkWarn');
  expect(verdict(found(clock, rights))).toBe('connection.checkBad');
});
