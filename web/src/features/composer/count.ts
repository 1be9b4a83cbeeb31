// Counting text as networks count it, for the counters while typing. The server counts again and
// has the last word (POST /posts/check).

import type { Count, Placement } from '../../api/types';

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const URL_WEIGHT = 23;

export function count(text: string, how: Count): number {
  switch (how) {
    case 'chars':
      return [...text].length;
    case 'utf16':
      return text.length;
    case 'graphemes':
      return graphemes(text);
    case 'mastodon':
      return graphemes(asMastodonCounts(text));
  }
}

/** What is left, and the limit that holds with or without media. */
export function remaining(text: string, rule: Placement['text'], withMedia: boolean): { left: number; max: number } {
  const max = withMedia && rule.maxWithMedia !== null ? rule.maxWithMedia : rule.max;
  return { left: max - count(text, rule.count), max };
}

function graphemes(text: string): number {
  let n = 0;
  for (const _ of segments.segment(text)) n += 1;
  return n;
}

/** Every URL with a scheme weighs 23; a mention of another server counts without its host. */
function asMastodonCounts(text: string): string {
  return text
    .replace(/https?:\/\/[^\s]+/giu, 'x'.repeat(URL_WEIGHT))
    .replace(/(^|[^\p{L}\p{N}_/])@([\p{L}\p{N}_]+)@[\p{L}\p{N}.-]+[\p{L}\p{N}]/gu, '$1@$2');
}
