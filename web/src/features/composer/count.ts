// Counting text as networks count it, for the counters while typing. The server counts again and
// has the last word (POST /posts/check). Both are held to crates/networks/tests/texts.json.

import type { Count, Placement } from '../../api/types';
import { urls } from './links';
import { xlinks } from './xlinks.svelte';

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const URL_WEIGHT = 23;

export function count(text: string, how: Count): number {
  switch (how) {
    case 'chars':
      return [...text].length;
    case 'utf16':
      return text.length;
    case 'bytes':
      return bytes(text);
    case 'graphemes':
      return graphemes(text);
    case 'mastodon':
      return graphemes(asMastodonCounts(text));
    case 'weighted':
      return weighted(text.normalize());
    case 'threads':
      return threads(text);
  }
}

/** What a text stands beside. */
export type Beside = 'nothing' | 'media' | 'poll';

export function besideOf(options: Record<string, string> | undefined, withMedia: boolean): Beside {
  return withMedia ? 'media' : options?.poll?.trim() ? 'poll' : 'nothing';
}

/** What is left, and the limit that holds beside it. */
export function remaining(text: string, rule: Placement['text'], beside: Beside): { left: number; max: number } {
  const other = { nothing: null, media: rule.maxWithMedia, poll: rule.questionMax }[beside];
  const max = other ?? rule.max;
  return { left: max - count(text, rule.count), max };
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function graphemes(text: string): number {
  let n = 0;
  for (const _ of segments.segment(text)) n += 1;
  return n;
}

const MENTION =
  /(?<![\p{Alphabetic}\p{N}\p{M}_/=@])@([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)@[\p{Alphabetic}\p{N}_][\p{Alphabetic}\p{N}_.-]*[\p{Alphabetic}\p{N}_]/gu;

/** Every URL with a scheme weighs 23; a mention of another server counts without its host. */
function asMastodonCounts(text: string): string {
  let out = '';
  let at = 0;
  for (const { start, end } of urls(text)) {
    // No letters in its place: a mention before it must not go on in it.
    out += text.slice(at, start) + '\0'.repeat(URL_WEIGHT);
    at = end;
  }
  return (out + text.slice(at)).replace(MENTION, '@$1');
}

/** Threads counts characters, and of an emoji its bytes. */
function threads(text: string): number {
  let n = 0;
  for (const { segment } of segments.segment(text)) n += isPicture(segment) ? bytes(segment) : [...segment].length;
  return n;
}

/** Signs of the text that could be a picture count as one, `©`, `®` and `™` only where a selector says so. */
function isPicture(cluster: string): boolean {
  return (
    (/[\ufe0f\u20e3]/.test(cluster) && /\p{Emoji}/u.test(cluster)) ||
    [...cluster].some((c) => /\p{Emoji}/u.test(c) && !/[\0-\x7f©®™]/.test(c))
  );
}

/** X's weights: every link 23, every emoji 2, the letters of most alphabets 1 and all else 2. */
function weighted(text: string): number {
  const found = new Map(xlinks.in(text).map((link) => [link.start, link.end]));
  let n = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at) ?? 0;
    const link = found.get(at);
    const emoji = link ?? emojiEnd(text, at);
    n += link ? URL_WEIGHT : emoji > at ? 2 : weight(code);
    at = emoji > at ? emoji : at + (code > 0xffff ? 2 : 1);
  }
  return n;
}

function weight(code: number): number {
  const light =
    code <= 4351 ||
    (code >= 8192 && code <= 8205) ||
    (code >= 8208 && code <= 8223) ||
    (code >= 8242 && code <= 8247);
  return light ? 1 : 2;
}

// --- emoji of several characters (crates/networks/src/text/emoji.rs says why) ----------------------

/** Pictures by themselves that may carry a selector all the same. */
const SELECTABLE = new Set('⌚⌛◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛔⛪⛲⛳⛵⛺⛽❗⬛⬜⭐⭕🀄🈚🈯');
const PEOPLE = [...'🧑👨👩'];
const ROLES = [...'⚕⚖✈🌾🍳🍼🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒🦯🦼🦽🦰🦱🦲🦳'];
const AIDS = [...'🦯🦼🦽'];
const GENDERED = [...'⛹🏃🏄🏊🏋🏌👮👯👰👱👳👷💁💂💆💇🕵🙅🙆🙇🙋🙍🙎🚣🚴🚵🚶🤦🤵🤷🤸🤹🤼🤽🤾🦸🦹🧍🧎🧏🧔🧖🧗🧘🧙🧚🧛🧜🧝🧞🧟'];
const GENDERS = [...'♀♂'];
const MOVERS = [...'🏃🚶🧎'];
const ANY = new Set([
  ...('🧑🎄 🧑🩰 ⛓💥 ❤🔥 ❤🩹 🍄🟫 🍋🟩 🏳⚧ 🏳🌈 🏴☠ 🐈⬛ 🐕🦺 🐦⬛ 🐦🔥 🐻❄ 😮💨 😵💫 😶🌫 🙂↔ 🙂↕ ' +
    '🧑🤝🧑 👨❤👨 👩❤👨 👩❤👩 👨❤💋👨 👩❤💋👨 👩❤💋👩').split(' '),
  ...PEOPLE.flatMap((who) => [...ROLES.map((role) => who + role), ...AIDS.map((aid) => `${who}${aid}➡`)]),
  ...GENDERED.flatMap((who) => GENDERS.map((gender) => who + gender)),
  ...MOVERS.flatMap((who) => [`${who}➡`, ...GENDERS.map((gender) => `${who}${gender}➡`)]),
]);
const TONED = new Set('👨🤝👨 👩🤝👨 👩🤝👩 🧑❤🧑 🧑❤💋🧑 🫱🫲 👨🐰👨 👩🐰👩 🧑🐰🧑 👨🫯👨 👩🫯👩 🧑🫯🧑'.split(' '));
const FAMILIES = new Set(
  ('👨👦 👨👦👦 👨👧 👨👧👦 👨👧👧 👨👨👦 👨👨👦👦 👨👨👧 👨👨👧👦 👨👨👧👧 👨👩👦 👨👩👦👦 👨👩👧 👨👩👧👦 👨👩👧👧 ' +
    '👩👦 👩👦👦 👩👧 👩👧👦 👩👧👧 👩👩👦 👩👩👦👦 👩👩👧 👩👩👧👦 👩👩👧👧 🧑🧒 🧑🧒🧒 🧑🧑🧒 🧑🧑🧒🧒').split(' '),
);
const FLAGS =
  'ACADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCPCQCRCUCVCWCXCYCZ' +
  'DEDGDJDKDMDODZEAECEEEGEHERESETEUFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUICIDIEILIMINIOIQIRISIT' +
  'JEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZ' +
  'OMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTATCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZ' +
  'UAUGUMUNUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW';
const flags = new Set(FLAGS.match(/../g));
/** The flags of England, Scotland and Wales. */
const regions = ['gbeng', 'gbsct', 'gbwls'].map(
  (name) => `🏴${[...name, '\x7f'].map((c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join('')}`,
);

const KEYCAP = /[#*0-9]\ufe0f?\u20e3/y;
const LETTERS = /[\u{1f1e6}-\u{1f1ff}]{2}/uy;
/** One picture, with its skin tone or the selector that makes it one. */
const PICTURE =
  /♾|(?:(?!\p{Emoji_Presentation})\p{Emoji_Modifier_Base}\ufe0f?|\p{Emoji_Modifier_Base})[\u{1f3fb}-\u{1f3ff}]|\p{Emoji_Presentation}|(?![#*0-9])\p{Emoji}\ufe0f/uy;
const TONE_LENGTH = 2;
const TONE = /[\u{1f3fb}-\u{1f3ff}]$/u;

interface Picture {
  base: string;
  end: number;
  canHaveTone: boolean;
  hasTone: boolean;
}

function picture(text: string, at: number): Picture | null {
  PICTURE.lastIndex = at;
  const found = PICTURE.exec(text)?.[0] ?? '';
  const [base] = [...found];
  if (base === undefined) return null;
  const canHaveTone = /\p{Emoji_Modifier_Base}/u.test(base);
  return { base, end: at + found.length, canHaveTone, hasTone: canHaveTone && TONE.test(found) };
}

/** Where the emoji ends that begins here; `at` itself where a sign of the text stands. */
function emojiEnd(text: string, at: number): number {
  KEYCAP.lastIndex = LETTERS.lastIndex = at;
  if (KEYCAP.test(text)) return KEYCAP.lastIndex;
  const pair = LETTERS.exec(text)?.[0];
  const letters = [...(pair ?? '')].map((c) => String.fromCharCode((c.codePointAt(0) ?? 0) - 0x1f1e6 + 65));
  if (pair) return at + (flags.has(letters.join('')) ? pair.length : pair.length / 2);
  const region = regions.find((flag) => text.startsWith(flag, at));
  if (region) return at + region.length;
  const first = picture(text, at);
  if (!first) return at;
  let [best, end, bases] = [first.end, first.end, first.base];
  for (let i = 1; i < 4 && text[end] === '\u200d'; i += 1) {
    const next = picture(text, end + 1);
    if (!next) break;
    bases += next.base;
    end = next.end;
    // Of two people both have a skin tone, or neither.
    const known = (tone: boolean) =>
      (!next.canHaveTone || tone === first.hasTone) && (ANY.has(bases) || (first.hasTone ? TONED : FAMILIES).has(bases));
    if (known(next.hasTone)) best = end;
    else if (next.hasTone && known(false)) best = end - TONE_LENGTH;
  }
  const selected = best === first.end && SELECTABLE.has(first.base) && text[best] === '\ufe0f';
  return selected ? best + 1 : best;
}
