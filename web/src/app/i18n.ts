// Messages by typed key. A plural is a pair of keys, `name.one` and `name.other`.
// Dates and numbers go through Intl in the same locale as the words (see time/format.ts).

import en from '../messages/en.json';
import type reviews from '../messages/reviews.json';

export type Key = keyof typeof en | keyof typeof reviews;
export type PluralKey = { [K in Key]: K extends `${infer Base}.one` ? Base : never }[Key];
type Params = Record<string, string | number>;

/** English messages: dates follow the reader's English, or British where the browser speaks another language. */
export const locale = navigator.language.startsWith('en') ? navigator.language : 'en-GB';
const plurals = new Intl.PluralRules('en');

const all: Record<string, string> = { ...en };

/** The messages of a page that not every page carries: it brings them along in its own chunk. */
export function learn(messages: Record<string, string>): void {
  Object.assign(all, messages);
}

export function t(key: Key, params?: Params): string {
  return fill(all[key] ?? key, params);
}

export function tn(key: PluralKey, n: number, params?: Params): string {
  const form = plurals.select(n) === 'one' ? 'one' : 'other';
  return fill(all[`${key}.${form}`] ?? key, { n, ...params });
}

/** The message of a computed key, or the text itself where the server sends a word that we do not know. */
export function word(prefix: string, value: string): string {
  return all[`${prefix}.${value}`] ?? value.replaceAll('_', ' ');
}

function fill(message: string, params?: Params): string {
  if (!params) return message;
  return message.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}
