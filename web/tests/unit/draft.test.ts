import { beforeEach, describe, expect, test } from 'vitest';
import type { Post } from '../../src/api/types';
import { bodyOf, draftOf, isWorthKeeping, newDraft, placeOf, unsent } from '../../src/features/composer/draft';

const NOW = Date.parse('2026-11-22T10:20:00Z');
const zone = 'Europe/London';
beforeEach(() => localStorage.clear());

describe('the first time that is offered', () => {
  test('the next full hour at least ten minutes away', () => {
    expect(newDraft(NOW, zone, null, [])).toMatchObject({ day: '2026-11-22', time: '11:00' });
    expect(newDraft(Date.parse('2026-11-22T10:55:00Z'), zone, null, [])).toMatchObject({ time: '12:00' });
  });
  test('nine o’clock on a later day, never a time that has passed', () => {
    expect(newDraft(NOW, zone, '2026-11-25', [])).toMatchObject({ day: '2026-11-25', time: '09:00' });
    expect(newDraft(NOW, zone, '2026-11-22', [])).toMatchObject({ day: '2026-11-22', time: '11:00' });
  });
});

describe('the body of the API', () => {
  const draft = { ...newDraft(NOW, zone, '2026-11-25', ['c1', 'c2']), text: 'Bread', overrides: { c2: 'Pain' }, placements: { c1: 'story' } };
  test('scheduled: wall time with its zone; only what differs from the shared text', () => {
    expect(bodyOf(draft, 'schedule')).toEqual({
      text: 'Bread', media: [], timezone: zone, scheduledAt: '2026-11-25T09:00',
      deliveries: [{ connectionId: 'c1', placement: 'story' }, { connectionId: 'c2', text: 'Pain' }],
    });
  });
  test('now: without a time; draft: says so and keeps its time', () => {
    expect(bodyOf(draft, 'now')).not.toHaveProperty('scheduledAt');
    expect(bodyOf(draft, 'draft')).toMatchObject({ draft: true, scheduledAt: '2026-11-25T09:00' });
  });
});

test('a post becomes a draft in its own zone, with what its connections override', () => {
  const post = {
    text: 'Bread', title: null, media: [], timezone: 'America/New_York', scheduledAt: '2026-11-25T14:00:00Z',
    deliveries: [
      { connectionId: 'c1', placement: 'feed', text: null, state: 'queued' },
      { connectionId: 'c2', placement: 'feed', text: 'Pain', state: 'queued' },
      { connectionId: 'c2', placement: 'reply', text: 'Et encore', state: 'queued', parentId: 'd2' },
      { connectionId: 'c3', placement: 'feed', text: null, state: 'removed' },
    ],
  } as unknown as Post;
  expect(draftOf(post, NOW)).toMatchObject({ day: '2026-11-25', time: '09:00', zone: 'America/New_York', connections: ['c1', 'c2'], overrides: { c2: 'Pain' } });
});

describe('where a problem is shown', () => {
  const draft = newDraft(NOW, zone, null, ['c1', 'c2']);
  test.each([
    ['deliveries[1].text', undefined, 'text', 'c2'],
    ['deliveries[0].text', 'c9', 'text', 'c9'],
    ['text', undefined, 'text', null],
    ['deliveries[0].media[1].alt', undefined, 'media', 'c1'],
    ['media[0]', undefined, 'media', null],
    ['scheduledAt', undefined, 'when', null],
    ['timezone', undefined, 'when', null],
    ['title', undefined, 'title', null],
    ['deliveries', undefined, 'connections', null],
    ['deliveries[0].connectionId', undefined, 'connections', 'c1'],
    ['version', undefined, 'other', null],
  ])('%s', (field, connectionId, place, id) => {
    expect(placeOf({ field, code: 'x', message: 'x', ...(connectionId && { connectionId }) }, draft)).toEqual({ place, connectionId: id });
  });
});

describe('what was not sent', () => {
  test('comes back as it was, and only for its own post', () => {
    const draft = { ...newDraft(NOW, zone, null, ['c1']), text: 'Half a thought' };
    unsent.write('new', draft, null);
    expect(unsent.read('new')).toEqual({ v: 1, draft, version: null });
    expect(unsent.read('other')).toBeNull();
    unsent.drop('new');
    expect(unsent.read('new')).toBeNull();
  });
  test('what cannot be read is no draft', () => {
    localStorage.setItem('carillon.unsent.new', '{');
    expect(unsent.read('new')).toBeNull();
    localStorage.setItem('carillon.unsent.new', '{"v":0}');
    expect(unsent.read('new')).toBeNull();
  });
  test('an empty draft is not worth keeping', () => {
    const draft = newDraft(NOW, zone, null, ['c1']);
    expect(isWorthKeeping(draft)).toBe(false);
    expect(isWorthKeeping({ ...draft, text: ' \n' })).toBe(false);
    expect(isWorthKeeping({ ...draft, text: 'x' })).toBe(true);
  });
});
