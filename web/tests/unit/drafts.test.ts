import { describe, expect, test } from 'vitest';
import type { Version } from '../../src/api/drafts';
import { draftOf, essence, newDraft, unsent } from '../../src/features/composer/draft';
import { insertTags, placeholder, tagged, withTags } from '../../src/features/snippets/apply';
import { fieldsOf } from '../../src/features/post/versions';
import { learn } from '../../src/app/i18n';
import en from '../../src/messages/en.json';

learn(en);
const NOW = Date.parse('2026-11-22T10:20:00Z');

describe('what is kept in this browser', () => {
  test('says when it was written, and whether it is kept', () => {
    localStorage.clear();
    const draft = newDraft(NOW, 'UTC', null, []);
    expect(unsent.write('x', draft, 3, 5)).toBe(true);
    expect(unsent.read('x')).toEqual({ draft, version: 3, at: 5 });
    const full = { ...localStorage, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } };
    const before = globalThis.localStorage;
    Object.defineProperty(globalThis, 'localStorage', { value: full, configurable: true });
    expect(unsent.write('x', draft, 3)).toBe(false);
    Object.defineProperty(globalThis, 'localStorage', { value: before, configurable: true });
  });
  test('a post that was only opened is as it was', () => {
    const post = { text: 'Hi', title: null, media: [{ id: 'm', thumbUrl: 'a', alt: '', state: 'ready', width: 1, height: 1 }], scheduledAt: '2026-11-25T09:00:00Z', timezone: 'UTC', thread: [], deliveries: [] } as never;
    const [one, two] = [draftOf(post, NOW), draftOf(post, NOW)];
    two.media = two.media.map((m) => ({ ...m, alt: 'described since' }));
    expect(essence(one)).toBe(essence(two));
    expect(essence({ ...two, text: 'Ho' })).not.toBe(essence(one));
  });
});

describe('what is written with', () => {
  test('the first words to fill in', () => {
    expect(placeholder('On {day} {band} plays')).toEqual([3, 8]);
    expect(placeholder('Nothing {\n} here')).toBeNull();
  });
  test('hashtags stand apart from what is before them', () => {
    const field = document.createElement('textarea');
    for (const [value, expected] of [['', '#a #b'], ['Hi', 'Hi #a #b'], ['Hi\n', 'Hi\n#a #b']] as const) {
      field.value = value;
      field.setSelectionRange(value.length, value.length);
      insertTags(field, ['#a', '#b']);
      expect(field.value).toBe(expected);
    }
    expect(withTags(null, ['#a'])).toBe('#a');
    expect(withTags('Tickets ', ['#a'])).toBe('Tickets\n\n#a');
  });
  test('tagging gives a text of its own only to whom it was given one', () => {
    const done = { text: 'T', firstComment: null, links: 1, deliveries: [{ connectionId: 'c1', text: 'own', firstComment: null }, { connectionId: 'c2', text: null, firstComment: 'C' }] };
    expect(tagged({ overrides: { c3: 'x' }, comments: {} }, done)).toEqual({ text: 'T', comment: null, overrides: { c3: 'x', c1: 'own' }, comments: { c2: 'C' } });
  });
});

describe('versions', () => {
  const version = (more: Partial<Version>): Version => ({ version: 1, current: false, writtenBy: null, writtenAt: '', text: 'One', title: null, media: [], thread: [], deliveries: [], ...more });
  const place = (more: object) => ({ connectionId: 'c', connectionName: 'Anchor', placement: 'feed', text: null, thread: null, firstComment: null, options: {}, ...more });
  test('only what differs, and only places that are still there', () => {
    const now = version({ text: 'Two', deliveries: [place({})] });
    const then = version({ thread: [{ text: 'And' }], deliveries: [place({ text: 'Own' }), place({ connectionId: 'gone', text: 'x' })] });
    expect(fieldsOf(now, then)).toEqual([
      { name: 'Text', before: 'Two', after: 'One' },
      { name: 'Thread', before: '', after: 'And' },
      { name: 'Anchor', before: '', after: 'Own' },
    ]);
    expect(fieldsOf(now, now)).toEqual([]);
  });
});
