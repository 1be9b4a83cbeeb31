// Links as X sees them, bare domains too, as crates/networks/src/text/bare.rs finds them. Long, and
// needed for X alone: others load it by xlinks.svelte.ts.

import { PORT, SCHEME, skip, type Span } from './links';
import list from './tlds.txt?raw';


const topLevels = new Set(
  list
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .flatMap((line) => line.split(' ')),
);
const LONGEST = 18;
const MAX_LABEL = 63;
const MAX_URL = 4096;
const MAX_SLUG = 40;

const STOPS =
  "\\s\\u0085\\u180e\\ufeff\\ufffe\\uffff\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069!'#%&()*+,/:;<=>?@[\\]^{|}~$\\\\";
const RUN = new RegExp(`[^${STOPS}]*`, 'y');
const IN_LABEL = new RegExp(`[^${STOPS}._-]`);
const MAY_PRECEDE = /[^A-Za-z0-9@＠$#＃\ufffe\ufeff\uffff]/;
const ENCODED = /xn--[-0-9a-z]+/iy;
const GLUED = /[0-9A-Za-z@+-]/;

const LATIN =
  'a-zA-Z0-9\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u024f\\u0253\\u0254\\u0256\\u0257\\u0259\\u025b\\u0263\\u0268' +
  '\\u026f\\u0272\\u0289\\u028b\\u02bb\\u0300-\\u036f\\u1e00-\\u1eff';
const LATIN_LABEL = new RegExp(`[-${LATIN}]*`, 'y');
const WORD = `${LATIN}\\u0400-\\u04ff`;
const IN_PATH = `[${WORD}!*';:=+,.$/%#[\\]\\-–_~@|&]`;
const GROUP = `\\((?:${IN_PATH}+|${IN_PATH}*\\(${IN_PATH}+\\)${IN_PATH}*)\\)`;
const PATH = new RegExp(`/(?:(?:${IN_PATH}|${GROUP})*(?:[${WORD}+\\-=_#/]|${GROUP}))?`, 'y');
const QUERY = /\?[a-z0-9!?*'@();:&=+$/%#[\]\-_.,~|]*[a-z0-9\-_&=#/]/iy;

/** Links with a scheme, and bare domains of ASCII and Latin letters. */
export function links(text: string): Span[] {
  const found: Span[] = [];
  let run = runAt(text, 0);
  for (let from = 0; from < text.length; ) {
    const starts = MAY_PRECEDE.test(text.charAt(from)) ? [from + 1] : [];
    if (from === 0) starts.push(0);
    let next = from + 1;
    for (const start of starts) {
      const name = skip(SCHEME, text, start);
      if (name < run.start || name >= run.end) run = runAt(text, name);
      const end = domainEnd(text, run, name);
      if (end === null) continue;
      const port = skip(PORT, text, end);
      const path = skip(PATH, text, port);
      next = skip(QUERY, text, path);
      found.push(...kept(text, { start, name, domain: end, hasPath: path > port, end: next }));
      break;
    }
    from = next;
  }
  return found;
}

interface Link {
  start: number;
  /** Where its domain begins and ends. */
  name: number;
  domain: number;
  hasPath: boolean;
  end: number;
}

/** What of something with the form of a link is one. */
function kept(text: string, link: Link): Span[] {
  const domain = text.slice(link.name, link.domain);
  const length = (link.name - link.start || 8) + link.end - link.start;
  const looksUp = (label: string) => encodedLength(label) >= 1 && encodedLength(label) <= MAX_LABEL;
  if (length > MAX_URL || !domain.split('.').every(looksUp)) return [];
  if (link.name > link.start) return withoutWhatFollowsASlug(text, link);
  if (/[-_./]/.test(text[link.start - 1] ?? '')) return [];
  const spans = latinDomains(domain).map(({ start, end }) => ({ start: link.name + start, end: link.name + end }));
  const last = spans.at(-1);
  // As long as domain and path are, even if letters of another script come between.
  if (last && link.hasPath) last.end += link.end - link.domain;
  return spans;
}

/** A link of X's own shortener ends behind its letters and its query. */
function withoutWhatFollowsASlug(text: string, { start, name, end }: Link): Span[] {
  const slug = /^t\.co\/([a-z0-9]+)/i.exec(text.slice(name, end));
  if (!slug?.[1]) return [{ start, end }];
  return slug[1].length > MAX_SLUG ? [] : [{ start, end: skip(QUERY, text, name + slug[0].length) }];
}

/** A run of characters that domains are made of, and where those in it can end. */
interface Run {
  start: number;
  end: number;
  dots: Map<number, Dot>;
  lastDot: number;
}

interface Dot {
  /** Where the longest domain ends that goes on here, when its top level may follow at once … */
  end: number | null;
  /** … and when another label has to come between: a name with `_` is no name to register. */
  later: number | null;
}

function runAt(text: string, start: number): Run {
  const run: Run = { start, end: skip(RUN, text, start), dots: new Map(), lastDot: -1 };
  let dot: Dot | undefined;
  let labelEnd = run.end;
  for (let at = run.end - 1; at >= start; at -= 1) {
    if (text[at] !== '.') continue;
    const later = behind(dot, text.slice(at + 1, labelEnd));
    dot = { end: later ?? topLevelEnd(text, at + 1), later };
    run.dots.set(at, dot);
    run.lastDot = Math.max(run.lastDot, at);
    labelEnd = at;
  }
  return run;
}

function domainEnd(text: string, run: Run, start: number): number | null {
  if (start > run.lastDot) return null;
  const at = text.indexOf('.', start);
  return behind(run.dots.get(at), text.slice(start, at));
}

/** Where a domain ends in which this label stands before the dot. */
function behind(dot: Dot | undefined, label: string): number | null {
  if (!dot || !IN_LABEL.test(label.charAt(0)) || !IN_LABEL.test(label.charAt(label.length - 1))) return null;
  return label.includes('_') ? dot.later : dot.end;
}

/** Where the top-level domain that begins here ends. */
function topLevelEnd(text: string, from: number): number | null {
  const encoded = skip(ENCODED, text, from);
  if (encoded > from) return encoded;
  for (let end = Math.min(from + LONGEST, text.length); end > from; end -= 1) {
    if (!GLUED.test(text.charAt(end)) && topLevels.has(text.slice(from, end).toLowerCase())) return end;
  }
  return null;
}

/** The domains of ASCII and Latin letters inside a domain of any script. */
function latinDomains(domain: string): Span[] {
  const found: Span[] = [];
  for (let at = 0; at < domain.length; ) {
    const first = skip(LATIN_LABEL, domain, at);
    let end: number | null = null;
    for (let label = at, dot = first; dot > label && domain[dot] === '.'; dot = skip(LATIN_LABEL, domain, label)) {
      end = topLevelEnd(domain, dot + 1) ?? end;
      label = dot + 1;
    }
    if (end !== null) found.push({ start: at, end });
    at = end ?? Math.max(first, at + 1);
  }
  return found;
}

/** The length of a label in the form in which it is looked up (RFC 3492). */
function encodedLength(label: string): number {
  const ascii = (part: string) => /^[\0-\x7f]*$/.test(part);
  if (ascii(label)) return label.length;
  const parts = label.split(/[。．｡]/);
  const lengths = parts.map((part) => (ascii(part) ? part.length : 4 + punycodeLength(part)) + 1);
  return lengths.reduce((a, b) => a + b) - 1;
}

function punycodeLength(label: string): number {
  const points = [...label].map((c) => c.codePointAt(0) ?? 0);
  // Each character becomes at least one, so there is no need to count on.
  if (points.length > MAX_LABEL) return points.length;
  const basic = points.filter((c) => c < 128).length;
  let length = basic + (basic > 0 ? 1 : 0);
  let [n, delta, bias, done] = [128, 0, 72, basic];
  while (done < points.length) {
    const next = Math.min(...points.filter((c) => c >= n));
    delta += (next - n) * (done + 1);
    n = next;
    for (const c of points) {
      if (c < n) delta += 1;
      if (c !== n) continue;
      let rest = delta;
      for (let k = 36; ; k += 36) {
        const t = Math.min(Math.max(k - bias, 1), 26);
        length += 1;
        if (rest < t) break;
        rest = Math.floor((rest - t) / (36 - t));
      }
      bias = adapted(delta, done + 1, done === basic);
      delta = 0;
      done += 1;
    }
    delta += 1;
    n += 1;
  }
  return length;
}

function adapted(delta: number, points: number, first: boolean): number {
  let rest = Math.floor(first ? delta / 700 : delta / 2);
  rest += Math.floor(rest / points);
  let k = 0;
  for (; rest > 455; k += 36) rest = Math.floor(rest / 35);
  return k + Math.floor((36 * rest) / (rest + 38));
}
