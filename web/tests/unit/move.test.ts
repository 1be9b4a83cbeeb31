import { describe, expect, test } from 'vitest';
import type { Delivery, DeliveryState, Post, PostState } from '../../src/api/types';
import { asMoved, movedTo, pick, refusal, step } from '../../src/features/planner/move';

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

describe('by keyboard', () => {
  const start = pick(post('scheduled'), 'Europe/London');
  const walk = (keys: string[]) => keys.reduce((at, key) => (at.carry ? step(at.carry, key) : at), start);

  test('picking up says what and where', () => {
    expect(start).toEqual({ carry: { postId: 'p1', from: '2026-11-24', day: '2026-11-24' }, say: 'move.picked', drop: null });
  });
  test('arrows walk days and weeks, over months', () => {
    expect(walk(['ArrowRight', 'ArrowRight']).carry?.day).toBe('2026-11-26');
    expect(walk(['ArrowDown']).carry?.day).toBe('2026-12-01');
    expect(walk(['ArrowUp', 'ArrowLeft']).carry?.day).toBe('2026-11-16');
    expect(walk(['ArrowDown']).say).toBe('move.over');
  });
  test('Enter drops, Escape puts back, Enter where it was changes nothing', () => {
    expect(walk(['ArrowRight', 'Enter'])).toEqual({ carry: null, say: null, drop: '2026-11-25' });
    expect(walk(['ArrowRight', 'Escape'])).toEqual({ carry: null, say: 'move.cancelled', drop: null });
    expect(walk(['ArrowRight', 'ArrowLeft', 'Enter'])).toEqual({ carry: null, say: 'move.same', drop: null });
  });
  test('other keys change nothing', () => {
    const carry = start.carry;
    if (!carry) throw new Error('nothing was picked up');
    expect(step(carry, 'x')).toEqual({ carry, say: null, drop: null });
  });
});
