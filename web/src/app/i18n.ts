// Messages by typed key. A plural is a pair of keys, `name.one` and `name.other`. English comes
// with the code that says it (scripts/messages.ts), another language as one file before the app
// starts. Dates and numbers go through Intl in the language of the words (see time/format.ts).

import type en from '../messages/en.json';

export type Key = keyof typeof en;
export type PluralKey = { [K in Key]: K extends `${infer Base}.one` ? Base : never }[Key];
type Params = Record<string, string | number>;
type Words = Record<string, string>;

/** What the app can be read in; `pseudo` shows where a longer language would not fit. */
export const LANGUAGES = ['en', 'de', 'pseudo'] as const;
export type Language = (typeof LANGUAGES)[number];
const KEPT = 'carillon.language';

export const language: Language = chosen() ?? spoken();
/** Dates follow the reader's own English or German, or British where the browser speaks another language. */
export const locale = navigator.languages.find((tag) => tag.split('-', 1)[0] === language) ?? (language === 'de' ? 'de' : 'en-GB');
const plurals = new Intl.PluralRules(locale);

const english: Words = {};
let foreign: Words | null = null;

/** Adds English words: those of an area, as the code that says them is loaded. */
export function learn(words: Words): void {
  Object.assign(english, words);
}

/** Makes the chosen language ready. */
export async function speak(): Promise<void> {
  document.documentElement.lang = language === 'pseudo' ? 'en' : language;
  if (language === 'de') foreign = (await import('../messages/de.json')).default;
  if (language === 'pseudo') foreign = (await import('./pseudo')).longer();
}

/** The language chosen in this browser; null: the browser's own. */
export function chosen(): Language | null {
  const kept = localStorage.getItem(KEPT);
  return LANGUAGES.find((l) => l === kept) ?? null;
}

/** Remembers a choice and starts anew: every sentence on the screen is another one then. */
export function choose(choice: Language | null): void {
  if (choice) localStorage.setItem(KEPT, choice);
  else localStorage.removeItem(KEPT);
  location.reload();
}

export function t(key: Key, params?: Params): string {
  return fill(find(key) ?? key, params);
}

export function tn(key: PluralKey, n: number, params?: Params): string {
  const form = plurals.select(n) === 'one' ? 'one' : 'other';
  return t(`${key}.${form}` as Key, { n: number(n), ...params });
}

/** The message of a computed key, or the text itself where the server sends a word that we do not know. */
export function word(prefix: string, value: string): string {
  return find(`${prefix}.${value}`) ?? value.replaceAll('_', ' ');
}

const numbers = new Intl.NumberFormat(locale);
export const number = (n: number): string => numbers.format(n);

function find(key: string): string | undefined {
  return foreign?.[key] ?? english[key];
}

function spoken(): Language {
  for (const tag of navigator.languages) {
    const found = LANGUAGES.find((l) => l === tag.split('-', 1)[0]);
    if (found) return found;
  }
  return 'en';
}

function fill(message: string, params?: Params): string {
  if (!params) return message;
  return message.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}
