// House rules that no compiler knows: colours live in tokens.css only, messages are used and exist,
// nothing that the content security policy forbids is written.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import shared from '../../src/messages/en.json';
import reviews from '../../src/messages/reviews.json';

const en = { ...shared, ...reviews };

const SRC = join(import.meta.dirname, '../../src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((f) => /\.(svelte|css|ts)$/.test(f))
  .map((name) => ({ name, text: readFileSync(join(SRC, name), 'utf8') }));
const lines = (pattern: RegExp, of = files) =>
  of.flatMap(({ name, text }) =>
    text.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
  );

test('raw colours are in tokens.css and nowhere else', () => {
  const styles = files.filter((f) => /\.(svelte|css)$/.test(f.name) && !f.name.endsWith('tokens.css'));
  const raw = /(#[0-9a-f]{3,8}\b(?!["'])|\b(rgba?|hsla?|oklch|oklab|lab|lch|hwb|color)\()/i;
  const named = /(color|background|border[a-z-]*|outline|fill|stroke|shadow)\s*:[^;]*\b(white|black|red|green|blue|gr[ae]y|yellow|orange|purple|pink|cyan|magenta)\b(?!-)(?!\))/i;
  expect(styles.length).toBeGreaterThan(20);
  expect(lines(raw, styles)).toEqual([]);
  expect(lines(named, styles).filter((l) => !/var\(--/.test(l))).toEqual([]);
});

test('the lint sees a raw colour when there is one', () => {
  const bad = [{ name: 'x.css', text: 'a { color: #fff }\nb { color: oklch(1 0 0) }' }];
  expect(lines(/(#[0-9a-f]{3,8}\b|oklch\()/i, bad).length).toBe(2);
});

test('no inline styles, handlers or raw HTML', () => {
  expect(lines(/\sstyle="/)).toEqual([]);
  expect(lines(/\{@html|innerHTML|insertAdjacentHTML|document\.write/)).toEqual([]);
  expect(readFileSync(join(SRC, '../index.html'), 'utf8')).not.toMatch(/\s(style|on[a-z]+)="|<style/);
});

test('every message is used', () => {
  const code = files.map((f) => f.text).join('\n');
  // Families whose last part comes from data.
  const families = [...code.matchAll(/word\('([\w.]+)'/g)].map((m) => `${m[1]}.`);
  const unused = Object.keys(en).filter((key) => {
    const base = key.replace(/\.(one|other)$/, '');
    return !code.includes(`'${base}'`) && !families.some((f) => key.startsWith(f));
  });
  expect(unused).toEqual([]);
});

test('a plural has both of its forms', () => {
  const keys = new Set(Object.keys(en));
  for (const key of keys) {
    if (key.endsWith('.one')) expect(keys.has(key.replace(/one$/, 'other')), key).toBe(true);
  }
});
