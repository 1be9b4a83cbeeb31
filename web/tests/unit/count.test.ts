import { expect, test } from 'vitest';
import type { Placement } from '../../src/api/types';
import { count, remaining } from '../../src/features/composer/count';

const family = '👩‍👩‍👧‍👦';
const rule = (max: number, maxWithMedia: number | null = null) =>
  ({ max, count: 'graphemes', maxWithMedia }) as Placement['text'];

test.each([
  ['chars', 'naïve', 5],
  ['chars', family, 7],
  ['utf16', family, 11],
  ['graphemes', family, 1],
  ['graphemes', 'e\u0301a\u0308', 2],
  ['graphemes', '🇬🇧🇫🇷', 2],
  ['mastodon', family, 1],
] as const)('%s counts %s as %i', (how, text, n) => {
  expect(count(text, how)).toBe(n);
});

test('for Mastodon every URL weighs 23, short or long', () => {
  expect(count('https://a.b', 'mastodon')).toBe(23);
  expect(count(`see https://example.org/${'x'.repeat(200)} and http://b.c`, 'mastodon')).toBe(4 + 23 + 5 + 23);
  expect(count('example.org/no-scheme', 'mastodon')).toBe(21);
});

test('for Mastodon a mention of another server counts without its host', () => {
  expect(count('@nell@sandbox.example hello', 'mastodon')).toBe('@nell hello'.length);
  expect(count('mail nell@sandbox.example', 'mastodon')).toBe('mail nell@sandbox.example'.length);
});

test('with media the limit of captions holds, where there is one', () => {
  expect(remaining('abc', rule(10, 5), false)).toEqual({ left: 7, max: 10 });
  expect(remaining('abcdefg', rule(10, 5), true)).toEqual({ left: -2, max: 5 });
  expect(remaining('abc', rule(10), true)).toEqual({ left: 7, max: 10 });
});
