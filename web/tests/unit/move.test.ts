import { describe, expect, test } from 'vitest';
import type { Delivery, DeliveryState, Post, PostState } from '../../src/api/types';
import { asMoved, movedTo, pick, refusal, shifted, step, wallDistance, type Carry, type Step } from '../../src/features/planner/move';
import { wallText } from '../../src/time/zone';

function post(state: PostState, deliveries: DeliveryState[] = ['queued'], scheduledAt: string | null = '2026-11-24T09:00:00Z'): Post {
  return {
    id: 'p1', text: 'Bread', title: null, media: [], thread: [], review: null, state, scheduledAt, timezone: 'Europe/London',
    createdAt: '', updatedAt: '', version: 3,
    deliveries: deliveries.map((s, i) => ({ id: `d${i}`, state: s, scheduledAt, question: null, can: [] }) as unknown as Delivery),
  };
}

describe('what may move', () => {
  test.each([
    ['scheduled', ['queued'], null],
    ['held', ['held'], null],
    ['draft', ['queued'], null],
    ['published', ['published'], 'move.no.published'],
    ['partly_published', ['published', 'failed'], 'move.no.partly'],
    ['scheduled', ['published', 'queued'], 'move.no.partly'],
    ['publishing', ['queued'], 'move.no.sending'],
    ['scheduled', ['sending', 'queued'], 'move.no.sending'],
    ['held', ['unknown'], 'move.no.sending'],
    ['failed', ['failed'], null],
    ['cancelled', ['cancelled'], 'move.no.cancelled'],
  ] as const)('%s with %j: %s', (state, deliveries, expected) => {
    expect(refusal(post(state, [...deliveries]))).toBe(expected);
  });
  test('not without a time, and not before its question is answered', () => {
    expect(refusal(post('draft', [], null))).toBe('move.no.time');
    const asked = post('held', ['held']);
    asked.deliveries[0] = { ...(asked.deliveries[0] as Delivery), question: 'is_it_live' };
    expect(refusal(asked)).toBe('move.no.question');
  });
});

describe('where it lands', () => {
  test('the same time of day, also across a clock change', () => {
    const p = post('scheduled', ['queued'], '2026-10-24T08:00:00Z');
    expect(new Date(movedTo(p, '2026-10-26', 'Europe/London')).toISOString()).toBe('2026-10-26T09:00:00.000Z');
  });
  test('open deliveries shift by the same distance, ended ones stay', () => {
    const p = post('scheduled', ['queued', 'cancelled']);
    const moved = asMoved(p, Date.parse('2026-11-26T10:30:00Z'));
    expect(moved.scheduledAt).toBe('2026-11-26T10:30:00.000Z');
    expect(moved.deliveries.map((d) => d.scheduledAt)).toEqual(['2026-11-26T10:30:00.000Z', '2026-11-24T09:00:00Z']);
    expect(p.scheduledAt).toBe('2026-11-24T09:00:00Z');
  });
});

describe('by as much as another one', () => {
  const due = (at: string) => post('scheduled', ['queued'], at);
  const day = 1440;
  test('by the clock on the wall: also over a day of 23 or 25 hours', () => {
    const iso = (ms: number) => new Date(ms).toISOString();
    expect(iso(shifted(due('2026-03-28T09:00:00Z'), day, 'Europe/London'))).toBe('2026-03-29T08:00:00.000Z');
    expect(iso(shifted(due('2026-10-24T08:00:00Z'), 2 * day, 'Europe/London'))).toBe('2026-10-26T09:00:00.000Z');
    expect(iso(shifted(due('2026-11-24T09:00:00Z'), -15, 'Asia/Kathmandu'))).toBe('2026-11-24T08:45:00.000Z');
  });
  test('the distance of two times is what clocks show', () => {
    const [from, to] = [Date.parse('2026-03-28T09:00:00Z'), Date.parse('2026-03-29T08:00:00Z')];
    expect(wallDistance(from, to, 'Europe/London')).toBe(day);
    expect(wallDistance(to, from, 'Europe/London')).toBe(-day);
  });
});

describe('by keyboard', () => {
  const ZONE = 'Europe/London';
  const walk = (keys: string[], fine = false, at = '2026-11-24T09:00:00Z') =>
    keys.reduce<Step>((now, key) => (now.carry ? step(now.carry, key, ZONE, fine) : now), pick(post('scheduled', ['queued'], at)));
  const over = (keys: string[], fine = false, at?: string) => wallText(walk(keys, fine, at).carry?.to ?? NaN, ZONE);

  test('picking up says what and where', () => {
    const due = Date.parse('2026-11-24T09:00:00Z');
    expect(walk([])).toEqual({ carry: { postId: 'p1', from: due, to: due }, say: 'move.picked', drop: null });
  });
  test('arrows walk days and weeks, over months', () => {
    expect(over(['ArrowRight', 'ArrowRight'])).toBe('2026-11-26T09:00');
    expect(over(['ArrowDown'])).toBe('2026-12-01T09:00');
    expect(over(['ArrowUp', 'ArrowLeft'])).toBe('2026-11-16T09:00');
    expect(walk(['ArrowDown']).say).toBe('move.over');
  });
  test('over a missing hour and back, a day keeps its time', () => {
    expect(over(['ArrowRight'], false, '2026-03-28T01:30:00Z')).toBe('2026-03-29T02:30');
    expect(over(['ArrowRight', 'ArrowRight'], false, '2026-03-28T01:30:00Z')).toBe('2026-03-30T01:30');
  });
  test('where times are rows, up and down are quarters of an hour', () => {
    expect(over(['ArrowDown'], true)).toBe('2026-11-24T09:15');
    expect(over(['ArrowUp', 'ArrowRight'], true)).toBe('2026-11-25T08:45');
    expect(over(['ArrowDown'], true, '2026-11-24T09:07:00Z')).toBe('2026-11-24T09:15');
    expect(over(['ArrowUp'], true, '2026-11-24T09:07:00Z')).toBe('2026-11-24T09:00');
    expect(over(['ArrowUp'], true, '2026-11-24T00:00:00Z')).toBe('2026-11-23T23:45');
  });
  test('a missing hour is passed over, one that comes twice is passed twice', () => {
    expect(over(['ArrowDown'], true, '2026-03-29T00:45:00Z')).toBe('2026-03-29T02:00');
    expect(over(['ArrowUp'], true, '2026-03-29T01:00:00Z')).toBe('2026-03-29T00:45');
    const twice = Array<string>(4).fill('ArrowDown');
    expect(over(twice, true, '2026-10-25T00:30:00Z')).toBe('2026-10-25T01:30');
    expect(walk(twice, true, '2026-10-25T00:30:00Z').carry?.to).toBe(Date.parse('2026-10-25T01:30:00Z'));
  });
  test('Enter drops, Escape puts back, Enter where it was changes nothing', () => {
    expect(walk(['ArrowRight', 'Enter'])).toEqual({ carry: null, say: null, drop: Date.parse('2026-11-25T09:00:00Z') });
    expect(walk(['ArrowRight', 'Escape'])).toEqual({ carry: null, say: 'move.cancelled', drop: null });
    expect(walk(['ArrowRight', 'ArrowLeft', 'Enter'])).toEqual({ carry: null, say: 'move.same', drop: null });
  });
  test('other keys change nothing', () => {
    const carry = walk([]).carry as Carry;
    expect(step(carry, 'x', ZONE)).toEqual({ carry, say: null, drop: null });
  });
});
