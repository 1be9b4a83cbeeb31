import { expect, test } from 'vitest';
import type { Lane } from '../../src/api/desk';
import { countdown, holdsOf, nextOf } from '../../src/features/queue/holds';

const NOW = Date.parse('2026-11-22T09:00:00Z');
const iso = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();
const lane = (more: Partial<Lane> = {}): Lane => ({
  lane: 'connection:c', connectionId: 'c', connectionName: 'Anchor', network: 'mastodon', waiting: 0, delayed: 1, active: 0,
  nextAt: iso(30), openAt: null, circuitUntil: null, pausedAt: null, pausedWhy: null, shutBy: null, ...more,
});

test('a free lane goes on at its next time', () => {
  const free = lane();
  expect(holdsOf(free, 'active', NOW)).toEqual([]);
  expect(nextOf(free, [])).toBe(NOW + 30 * 60_000);
  expect(nextOf(lane({ nextAt: null }), [])).toBeNull();
});

test('what only a person ends leaves no time to go on', () => {
  const shut = lane({ shutBy: 'all', pausedAt: iso(-5), pausedWhy: 'the price list is wrong' });
  expect(holdsOf(shut, 'active', NOW)).toEqual([{ kind: 'shut', scope: 'all' }]);
  expect(nextOf(shut, holdsOf(shut, 'active', NOW))).toBeNull();
  expect(holdsOf(lane(), 'paused', NOW)).toEqual([{ kind: 'paused' }]);
  expect(holdsOf(lane(), 'needs_action', NOW)).toEqual([{ kind: 'action' }]);
});

test('what ends by itself moves the next time on, and what is over holds nothing', () => {
  const busy = lane({ nextAt: iso(-1), circuitUntil: iso(5), openAt: iso(2) });
  const holds = holdsOf(busy, 'active', NOW);
  expect(holds.map((h) => h.kind)).toEqual(['circuit', 'wait']);
  expect(nextOf(busy, holds)).toBe(NOW + 5 * 60_000);
  expect(holdsOf(lane({ circuitUntil: iso(-1), openAt: iso(0) }), 'active', NOW)).toEqual([]);
});

test('the countdown ends at nothing', () => {
  expect(countdown(NOW + 65_000, NOW)).toBe('1:05');
  expect(countdown(NOW + 8_200, NOW)).toBe('0:09');
  expect(countdown(NOW, NOW)).toBeNull();
});
