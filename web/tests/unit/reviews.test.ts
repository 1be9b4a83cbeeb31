import { expect, test } from 'vitest';
import { parts, words } from '../../src/features/reviews/diff';

const told = (before: string, after: string) =>
  words(before, after).map((p) => ({ same: '', new: '+', gone: '-' })[p.kind] + p.text).join('|');

test('words that went and came stand where they were', () => {
  expect(told('Doors open at seven.', 'Doors open at seven.')).toBe('Doors open at seven.');
  expect(told('Doors open at seven.', 'Doors open at eight.')).toBe('Doors open at |-seven.|+eight.');
  expect(told('Doors open.', 'All doors open.')).toBe('-Doors |+All doors |open.');
  expect(told('Doors open', 'Doors open late')).toBe('Doors open |+late');
  expect(told('Doors open late', 'Doors open')).toBe('Doors open |-late');
  expect(told('', 'New')).toBe('+New');
  expect(told('Old', '')).toBe('-Old');
  expect(told('', '')).toBe('');
});

test('long texts are not compared word by word', () => {
  const long = 'word '.repeat(700);
  expect(words(long, `${long}more`).map((p) => p.kind)).toEqual(['gone', 'new']);
});

test('each part beside the text is named once', () => {
  const d = { id: 'd', parentId: null, connectionId: 'c', network: 'mastodon', placement: 'status', text: null, options: {} };
  const before = { text: 'a', title: null, media: [{ id: 'm', version: 1, alt: '' }], deliveries: [d] };
  const post = (change: object) =>
    ({ text: 'a', title: null, media: [{ id: 'm', alt: '' }], deliveries: [{ ...d, state: 'draft' }], ...change }) as never;
  expect(parts(before, post({}))).toEqual([]);
  expect(parts(before, post({ title: 'T' }))).toEqual(['title']);
  expect(parts(before, post({ media: [] }))).toEqual(['media']);
  expect(parts(before, post({ media: [{ id: 'm', alt: 'A harbour' }] }))).toEqual(['media']);
  expect(parts(before, post({ deliveries: [{ ...d, state: 'draft', connectionId: 'x' }] }))).toEqual(['places']);
  expect(parts(before, post({ deliveries: [{ ...d, state: 'draft', text: 'own' }] }))).toEqual(['own']);
  expect(parts(before, post({ deliveries: [{ ...d, state: 'draft' }, { ...d, state: 'cancelled', connectionId: 'x' }] }))).toEqual([]);
});
