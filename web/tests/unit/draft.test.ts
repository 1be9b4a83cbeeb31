import { beforeEach, describe, expect, test } from 'vitest';
import type { Post } from '../../src/api/types';
import { answersOf, bodyOf, draftOf, isWorthKeeping, newDraft, placeOf, unsent } from '../../src/features/composer/draft';

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

const all = () => ({ thread: true, comment: true });
const none = () => ({ thread: false, comment: false });

describe('the body of the API', () => {
  const draft = { ...newDraft(NOW, zone, '2026-11-25', ['c1', 'c2']), text: 'Bread', overrides: { c2: 'Pain' }, placements: { c1: 'story' } };
  test('scheduled: wall time with its zone; only what differs from the shared text', () => {
    expect(bodyOf(draft, 'schedule', all)).toEqual({
      text: 'Bread', media: [], timezone: zone, scheduledAt: '2026-11-25T09:00',
      deliveries: [{ connectionId: 'c1', placement: 'story' }, { connectionId: 'c2', text: 'Pain' }],
    });
  });
  test('now: without a time; draft: says so and keeps its time', () => {
    expect(bodyOf(draft, 'now', all)).not.toHaveProperty('scheduledAt');
    expect(bodyOf(draft, 'draft', all)).toMatchObject({ draft: true, scheduledAt: '2026-11-25T09:00' });
  });
});

describe('what a placement asks beside text and media', () => {
  const draft = { ...newDraft(NOW, zone, null, ['c1', 'c2']), text: 'Bread', options: { c1: { start: '2026-12-01T10:00', end: ' ' } } };
  test('is sent for whom it was answered, without what was left empty', () => {
    expect(bodyOf(draft, 'now', none).deliveries).toEqual([{ connectionId: 'c1', options: { start: '2026-12-01T10:00' } }, { connectionId: 'c2' }]);
  });
  test('an edit says also that there is nothing', () => {
    expect(bodyOf(draft, 'now', none, true).deliveries[1]).toMatchObject({ options: {} });
  });
  test('a problem with an answer is shown beside it', () => {
    const problem = { field: 'deliveries[0].options.start', code: 'option_invalid', message: 'No.' };
    expect(placeOf(problem, draft)).toEqual({ place: 'options', connectionId: 'c1' });
  });
});

describe('what follows a post', () => {
  const base = { ...newDraft(NOW, zone, null, ['c1', 'c2']), text: 'One', thread: ['Two'], comment: 'Tickets' };
  const only = (id: string) => (of: string) => (of === id ? all() : none());
  test('goes to those whose networks take it, and the first part alone to the others', () => {
    expect(bodyOf(base, 'now', only('c1'))).toMatchObject({
      thread: [{ text: 'Two' }],
      deliveries: [{ connectionId: 'c1', thread: 'all', firstComment: 'Tickets' }, { connectionId: 'c2', thread: 'first' }],
    });
    expect(bodyOf(base, 'now', only('c1')).deliveries[1]).not.toHaveProperty('firstComment');
  });
  test('that nobody takes is still told to the server, which refuses to lose it', () => {
    expect(bodyOf(base, 'now', none)).toMatchObject({ thread: [{ text: 'Two' }], deliveries: [{ thread: 'first' }, { thread: 'first' }] });
  });
  test('is a connection’s own where it was changed, also to nothing', () => {
    const own = { ...base, threads: { c1: ['Deux', 'Trois'], c2: [] }, comments: { c1: null, c2: 'Billets' } };
    const body = bodyOf(own, 'now', all);
    expect(body.deliveries).toMatchObject([
      { connectionId: 'c1', thread: [{ text: 'Deux' }, { text: 'Trois' }] },
      { connectionId: 'c2', firstComment: 'Billets' },
    ]);
    expect(body.deliveries[0]).not.toHaveProperty('firstComment');
    expect(body).not.toHaveProperty('thread');
  });
  test('an edit says also what there is none of any more', () => {
    const bare = { ...base, thread: [], comment: null };
    expect(bodyOf(bare, 'schedule', only('c1'), true)).toMatchObject({
      thread: [],
      deliveries: [{ thread: 'all', firstComment: '' }, { thread: 'first', firstComment: '' }],
    });
  });
  test('of a post comes back into the draft, shared and own', () => {
    const d = (id: string, more: object) => ({ id, placement: 'feed', text: null, options: {}, state: 'queued', parentId: null, ...more });
    const post = {
      text: 'One', title: null, media: [], timezone: zone, scheduledAt: null, thread: [{ text: 'Two' }],
      deliveries: [
        d('d1', { connectionId: 'c1' }),
        d('d2', { connectionId: 'c1', placement: 'reply', text: 'Two', parentId: 'd1' }),
        d('d3', { connectionId: 'c2' }),
        d('d4', { connectionId: 'c2', placement: 'reply', text: 'Deux', parentId: 'd3' }),
        d('d5', { connectionId: 'c2', placement: 'reply', text: 'Trois', parentId: 'd4' }),
        d('d6', { connectionId: 'c2', placement: 'reply', text: 'Gone', parentId: 'd5', state: 'cancelled' }),
        d('d7', { connectionId: 'c2', placement: 'comment', text: 'Tickets', parentId: 'd3' }),
      ],
    } as unknown as Post;
    expect(draftOf(post, NOW)).toMatchObject({ thread: ['Two'], threads: { c2: ['Deux', 'Trois'] }, comment: 'Tickets', comments: { c1: null } });
  });
});

test('a post becomes a draft in its own zone, with what its connections override', () => {
  const post = {
    text: 'Bread', title: null, media: [], thread: [], timezone: 'America/New_York', scheduledAt: '2026-11-25T14:00:00Z',
    deliveries: [
      { connectionId: 'c1', placement: 'feed', text: null, options: {}, state: 'queued' },
      { connectionId: 'c2', placement: 'feed', text: 'Pain', options: {}, state: 'queued' },
      { connectionId: 'c2', placement: 'reply', text: 'Et encore', options: {}, state: 'queued', parentId: 'd2' },
      { connectionId: 'c3', placement: 'feed', text: null, options: {}, state: 'removed' },
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
    ['deliveries[1].firstComment', undefined, 'comment', 'c2'],
    ['deliveries[1].thread', undefined, 'thread', 'c2'],
    ['thread', undefined, 'thread', null],
    ['version', undefined, 'other', null],
  ])('%s', (field, connectionId, place, id) => {
    expect(placeOf({ field, code: 'x', message: 'x', ...(connectionId && { connectionId }) }, draft)).toEqual({ place, connectionId: id });
  });
});

test('a problem of one part says which', () => {
  const draft = newDraft(NOW, zone, null, ['c1']);
  expect(placeOf({ field: 'deliveries[0].thread[2]', code: 'x', message: 'x' }, draft)).toEqual({ place: 'thread', connectionId: 'c1', part: 2 });
  expect(placeOf({ field: 'thread[0].media', code: 'x', message: 'x' }, draft)).toEqual({ place: 'thread', connectionId: null, part: 0 });
});

describe('what was not sent', () => {
  test('comes back as it was, and only for its own post', () => {
    const draft = { ...newDraft(NOW, zone, null, ['c1']), text: 'Half a thought' };
    unsent.write('new', draft, null);
    expect(unsent.read('new')).toEqual({ draft, version: null, at: expect.any(Number) });
    expect(unsent.read('other')).toBeNull();
    unsent.drop('new');
    expect(unsent.read('new')).toBeNull();
  });
  test('from before drafts had threads is read all the same', () => {
    const { thread: _, threads: __, comment: ___, comments: ____, ...old } = newDraft(NOW, zone, null, ['c1']);
    localStorage.setItem('carillon.unsent.new', JSON.stringify({ v: 1, draft: { ...old, text: 'Old' }, version: null }));
    expect(unsent.read('new')?.draft).toEqual({ ...newDraft(NOW, zone, null, ['c1']), text: 'Old' });
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

test('a poll is its lines, and worth keeping', () => {
  const draft = { ...newDraft(NOW, 'Europe/London', null, ['c1']), options: { c1: { poll: ' Rye\r\n\nOats ' } } };
  expect(answersOf(draft, 'c1')).toEqual(['Rye', 'Oats']);
  expect(answersOf(draft, 'c2')).toEqual([]);
  expect(isWorthKeeping(draft)).toBe(true);
  expect(isWorthKeeping({ ...draft, options: { c1: { poll: ' ' } } })).toBe(false);
});
