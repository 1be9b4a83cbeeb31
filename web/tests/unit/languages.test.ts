// Every language says everything, with the same parts; and English words come with the code that says them.

import { expect, test } from 'vitest';
import de from '../../src/messages/de.json';
import en from '../../src/messages/en.json';
import { longer, stretch } from '../../src/app/pseudo';
import { areasIn } from '../../scripts/messages';

const languages: Record<string, Record<string, string>> = { de, pseudo: longer() };
const parts = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([part]) => part).sort();

test.each(Object.keys(languages))('%s has every message, none too many, each with its parts', (name) => {
  const words = languages[name] ?? {};
  const keys = new Set(Object.keys(en));
  expect([...keys].filter((key) => !words[key])).toEqual([]);
  expect(Object.keys(words).filter((key) => !keys.has(key))).toEqual([]);
  const other = Object.entries(en).filter(([key, text]) => parts(text).join() !== parts(words[key] ?? '').join());
  expect(other.map(([key]) => key)).toEqual([]);
});

test('the language that nobody speaks is 40 % longer', () => {
  expect(stretch('Move {n} posts')).toMatch(/^\[Móvé \{n\} pósts lóñg/);
  for (const text of ['Save', 'Nothing planned, and nothing to plan']) expect(stretch(text).length).toBeGreaterThanOrEqual(text.length * 1.4);
});

test('the areas of a source are those of the messages that it names', () => {
  const keys = new Set(['queue.lanes', 'media.found.one', 'media.found.other', 'close', 'ink.draft']);
  expect(areasIn(`t('queue.lanes') + tn('media.found', 2) + word('ink', x) + t('close') + 'http.other'`, keys)).toEqual(['frame', 'media', 'queue']);
});
