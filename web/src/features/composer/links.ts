// Links in a text, as crates/networks/src/text finds them (urls.rs). What X sees besides is in bare.ts.

export interface Span {
  start: number;
  end: number;
}

/** Where the match that begins at `at` ends; `at` itself where there is none. */
export function skip(what: RegExp, text: string, at: number): number {
  what.lastIndex = at;
  return what.test(text) ? what.lastIndex : at;
}

export const SCHEME = /https?:\/\//iy;
export const PORT = /:[0-9]+/y;

const HOST = /[\p{Alphabetic}\p{N}._-]+/uy;
const REST = /[/?#][^\s\p{Cc}<>"`{}|\\^“”„«»、。，！？；：（）「」『』【】《》]*/uy;

/** Links with `http://` or `https://`, without the closing punctuation of the sentence around them. */
export function urls(text: string): Span[] {
  const found: Span[] = [];
  for (const match of text.matchAll(/https?:\/\//giu)) {
    const start = match.index;
    if (start < (found.at(-1)?.end ?? 0) || /[A-Za-z0-9_@#$]/.test(text[start - 1] ?? '')) continue;
    const from = start + match[0].length;
    const host = hostEnd(text.slice(from, skip(HOST, text, from)));
    if (host === 0) continue;
    const port = skip(PORT, text, from + host);
    if (text[port] === '@') continue;
    const rest = text.slice(port, skip(REST, text, port));
    found.push({ start, end: port + withoutClosing(rest).length });
  }
  return found;
}

/** How much of it is a host name of two labels or more. */
function hostEnd(text: string): number {
  let run = text.replace(/[._-]+$/, '');
  const top = run.lastIndexOf('.') + 1;
  // `example.comを見て`: a top label that begins in ASCII ends with it.
  const ascii = /^[\0-\x7f]*/.exec(run.slice(top))?.[0].length ?? 0;
  if (ascii > 0) run = run.slice(0, top + ascii);
  const labels = run.split('.');
  const named = labels.length > 1 && labels.every((label) => label !== '');
  return named && /^\p{Alphabetic}/u.test(run.slice(top)) ? run.length : 0;
}

function withoutClosing(path: string): string {
  const over = (open: string, close: string) => path.split(close).length - path.split(open).length;
  let round = over('(', ')');
  let square = over('[', ']');
  let kept = path;
  for (;;) {
    const last = kept.at(-1) ?? '';
    if (last === ')' && round > 0) round -= 1;
    else if (last === ']' && square > 0) square -= 1;
    else if (last === '' || !".,;:!?'…".includes(last)) return kept;
    kept = kept.slice(0, -1);
  }
}
