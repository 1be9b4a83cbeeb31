// States of posts as people see them: an ink (colour and mark) and a word.

import { word } from '../../app/i18n';
import type { Brief, PostState } from '../../api/types';

/** In the order in which they are counted: first what needs somebody. */
export const INKS = ['held', 'failed', 'partly', 'review', 'approved', 'sending', 'scheduled', 'draft', 'published', 'cancelled'] as const;
export type Ink = (typeof INKS)[number];

const POST: Record<PostState, Ink> = {
  draft: 'draft',
  in_review: 'review',
  approved: 'approved',
  scheduled: 'scheduled',
  publishing: 'sending',
  published: 'published',
  partly_published: 'partly',
  failed: 'failed',
  cancelled: 'cancelled',
  held: 'held',
};

export const postInk = (state: PostState): Ink => POST[state] ?? 'draft';
export const postWord = (state: PostState) => word('post.state', state);

/** What a post is called in a list: its title, else its first words. */
export function titleOf(post: Pick<Brief, 'title' | 'text'>, longest = 80): string {
  const line = (post.title || post.text).trim().split('\n', 1)[0] ?? '';
  if (line.length <= longest) return line;
  return `${line.slice(0, longest).replace(/\s+\S*$/, '')}…`;
}

/** `BS MA`, each network once; more than three are counted. */
export function codesOf(post: Brief, code: (network: string) => string): string {
  const codes = [...new Set(post.deliveries.map((d) => code(d.network)))];
  if (codes.length <= 3) return codes.join(' ');
  return `${codes.slice(0, 2).join(' ')} +${codes.length - 2}`;
}
