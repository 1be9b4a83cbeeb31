// A language that nobody speaks: English with accents and 40 % more of it, in brackets. What is not
// in it was never translated; what does not fit would not fit in Finnish either.

import en from '../messages/en.json';

const ACCENTS: Record<string, string> = { a: 'á', e: 'é', i: 'í', o: 'ó', u: 'ú', c: 'ç', n: 'ñ', A: 'Å', E: 'É', O: 'Ø', U: 'Û', S: 'Š' };

export function longer(): Record<string, string> {
  return Object.fromEntries(Object.entries(en).map(([key, text]) => [key, stretch(text)]));
}

export function stretch(text: string): string {
  const said = text.replace(/\{\w+\}|[a-zA-Z]/g, (c) => ACCENTS[c] ?? c);
  const more = Math.ceil(text.replace(/\{\w+\}/g, '').length * 0.4);
  return `[${said}${' lóñgér'.repeat(Math.ceil(more / 7)).slice(0, more)}]`;
}
