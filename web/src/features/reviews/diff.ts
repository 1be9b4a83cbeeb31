// What changed between two reviews: words of the text, and which other parts.

import type { Shown } from '../../api/reviews';
import type { Post } from '../../api/types';

export interface Piece {
  text: string;
  kind: 'same' | 'new' | 'gone';
}

/** Longer texts are shown as one part that went and one that came: comparing takes their product. */
const MOST = 600;

/** Words and the space behind them, as far as both texts agree, and what only one has. */
export function words(before: string, after: string): Piece[] {
  if (before === after) return after ? [{ text: after, kind: 'same' }] : [];
  const [a, b] = [split(before), split(after)];
  if (a.length > MOST || b.length > MOST) return join([{ text: before, kind: 'gone' }, { text: after, kind: 'new' }]);
  const common = table(a, b);
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && agree(a, i, b, j)) {
      const [was, is] = [a[i++] ?? '', b[j++] ?? ''];
      pieces.push({ text: was.length > is.length ? was : is, kind: 'same' });
    } else if (i < a.length && (j === b.length || at(common, i + 1, j) >= at(common, i, j + 1))) {
      pieces.push({ text: a[i++] ?? '', kind: 'gone' });
    } else {
      pieces.push({ text: b[j++] ?? '', kind: 'new' });
    }
  }
  return join(pieces);
}

/** Which parts beside the text are others than before. */
export function parts(before: Shown, post: Post): ('title' | 'media' | 'places' | 'own')[] {
  const live = post.deliveries.filter((d) => d.state !== 'cancelled' && d.state !== 'removed');
  const place = (d: { connectionId: string; placement: string }) => `${d.connectionId} ${d.placement}`;
  const own = (d: { connectionId: string; placement: string; text: string | null; options: Record<string, string> }) =>
    JSON.stringify([place(d), d.text, Object.entries(d.options).sort()]);
  const media = (m: { id: string; alt: string }) => `${m.id} ${m.alt}`;
  const heads = (all: Shown['deliveries']) => all.filter((d) => !d.parentId);
  const changed = {
    title: (before.title ?? '') !== (post.title ?? ''),
    media: !same(before.media.map(media), post.media.map(media)),
    places: !same(heads(before.deliveries).map(place).sort(), live.filter((d) => !d.parentId).map(place).sort()),
    own: false,
  };
  changed.own = !changed.places && !same(before.deliveries.map(own).sort(), live.map(own).sort());
  return (['title', 'media', 'places', 'own'] as const).filter((part) => changed[part]);
}

const split = (text: string): string[] => text.match(/\S+\s*|\s+/g) ?? [];
const same = (a: string[], b: string[]) => a.length === b.length && a.every((x, i) => x === b[i]);
/** A text's last word has no space behind it, and is the same where words come after it. */
const agree = (a: string[], i: number, b: string[], j: number) =>
  a[i] === b[j] || ((i === a.length - 1 || j === b.length - 1) && a[i]?.trim() === b[j]?.trim());
const at = (rows: number[][], i: number, j: number) => rows[i]?.[j] ?? 0;

/** How many words the rests from (i, j) on have in common. */
function table(a: string[], b: string[]): number[][] {
  const rows: number[][] = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = rows[i];
      if (row) row[j] = agree(a, i, b, j) ? at(rows, i + 1, j + 1) + 1 : Math.max(at(rows, i + 1, j), at(rows, i, j + 1));
    }
  }
  return rows;
}

function join(pieces: Piece[]): Piece[] {
  const joined: Piece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last?.kind === piece.kind) last.text += piece.text;
    else if (piece.text) joined.push({ ...piece });
  }
  return joined;
}
