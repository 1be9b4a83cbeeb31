import { beforeAll, expect, test } from 'vitest';
import texts from '../../../crates/networks/tests/texts.json';
import type { Placement } from '../../src/api/types';
import { count, remaining } from '../../src/features/composer/count';
import { links } from '../../src/features/composer/bare';
import { urls } from '../../src/features/composer/links';
import { xlinks } from '../../src/features/composer/xlinks.svelte';

beforeAll(() => xlinks.ready());

const family = '👩‍👩‍👧‍👦';
const rule = (max: number, maxWithMedia: number | null = null, questionMax: number | null = null) =>
  ({ max, count: 'graphemes', maxWithMedia, questionMax }) as Placement['text'];

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

test('beside media the limit of captions holds, and of a question in a poll, where there is one', () => {
  expect(remaining('abc', rule(10, 5), 'nothing')).toEqual({ left: 7, max: 10 });
  expect(remaining('abcdefg', rule(10, 5), 'media')).toEqual({ left: -2, max: 5 });
  expect(remaining('abc', rule(10), 'media')).toEqual({ left: 7, max: 10 });
  expect(remaining('abcde', rule(10, 5, 4), 'poll')).toEqual({ left: -1, max: 4 });
  expect(remaining('abcde', rule(10, 5), 'poll')).toEqual({ left: 5, max: 10 });
});

const units = ['chars', 'utf16', 'bytes', 'graphemes', 'mastodon', 'weighted', 'threads'] as const;

test.each(texts)('the server counts the same: $what', ({ text, ...expected }) => {
  const counted = Object.fromEntries(units.map((unit) => [unit, count(text, unit)]));
  expect({ what: expected.what, ...counted }).toEqual(expected);
});

const found = (text: string, find: typeof links) => find(text).map(({ start, end }) => text.slice(start, end));

test.each([
  ['see example.com.', ['example.com']],
  ['EXAMPLE.CO.UK/a?b=c#d', ['EXAMPLE.CO.UK/a?b=c#d']],
  ['example.com:8080 example.com?a=b', ['example.com', 'example.com']],
  ['(example.com/a_(b)) https://t.co/abc/more', ['example.com/a_(b)', 'https://t.co/abc']],
  ['詳細はexample.comまで、foo_bar.example.com', ['example.com', 'bar.example.com']],
  ['me@example.com #example.com -example.com example.notatld 例え.みんな', []],
])('X sees the links of %s', (text, expected) => {
  expect(found(text, links)).toEqual(expected);
});

test.each([
  ['Go to https://example.com.', ['https://example.com']],
  ['(https://example.com/a) https://en.wikipedia.org/wiki/Bell_(instrument),', ['https://example.com/a', 'https://en.wikipedia.org/wiki/Bell_(instrument)']],
  ['请看https://example.com/路径。谢谢 https://example.comを見て', ['https://example.com/路径', 'https://example.com']],
  ['example.com xhttps://example.com https://localhost https://bank.example@evil.example/', []],
])('others see the links of %s', (text, expected) => {
  expect(found(text, urls)).toEqual(expected);
});

test('a text without end is counted in a moment', () => {
  for (const piece of ['日', '日.', 'a.', 'https://', '(', 'a@b.com ', '👩‍👩‍']) {
    count(piece.repeat(20_000), 'weighted');
  }
});
