// What templates, hashtags and UTM presets do to what is being written.

import { post as send } from '../../api/client';
import type { Snippet, Tagged } from '../../api/drafts';
import { commentOf, SHARED, type Draft } from '../composer/draft';
import type { Work } from '../composer/work.svelte';

/** Where a placeholder is that has to be filled in: `{band}`. */
export function placeholder(text: string, from = 0): [number, number] | null {
  const found = /\{[^{}\n]{1,40}\}/.exec(text.slice(from));
  return found ? [from + found.index, from + found.index + found[0].length] : null;
}

/** Writes into a field as if it were typed, so that everything that listens knows. */
export function type(field: HTMLTextAreaElement, text: string, from = field.selectionStart, to = field.selectionEnd): void {
  field.setRangeText(text, from, to, 'end');
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

/** Hashtags behind the cursor, apart from the word before it. */
export function insertTags(field: HTMLTextAreaElement, tags: string[]): void {
  const at = field.selectionEnd;
  const before = field.value.slice(0, at);
  const text = `${before && !/\s$/.test(before) ? ' ' : ''}${tags.join(' ')}`;
  type(field, text, at, at);
}

/** The hashtags behind what the first comment says. */
export function withTags(comment: string | null, tags: string[]): string {
  return [comment?.trim(), tags.join(' ')].filter(Boolean).join('\n\n');
}

/** Begins a post with a template: an empty one gets all of it, another one its text at the cursor. */
export function begin(work: Work, tab: string, field: HTMLTextAreaElement, snippet: Snippet): void {
  const template = snippet.template;
  if (!template) return;
  const { draft } = work;
  if (work.textOf(tab).trim()) {
    type(field, template.text);
    return;
  }
  draft.text = template.text;
  draft.title ||= template.title ?? '';
  draft.comment ??= template.firstComment;
  const own = work.chosen.flatMap((c) => (template.texts[c.network] === undefined ? [] : [[c.id, template.texts[c.network] ?? ''] as const]));
  draft.overrides = { ...draft.overrides, ...Object.fromEntries(own) };
  work.wanted = SHARED;
}

/** Adds a UTM preset to the links of all texts; how many changed. */
export async function tag(work: Work, preset: string): Promise<number> {
  const { draft } = work;
  const done = await send<Tagged>('/snippets/utm', {
    preset,
    text: draft.text,
    firstComment: draft.comment,
    date: draft.day || null,
    deliveries: draft.connections.map((id) => ({
      connectionId: id,
      text: draft.overrides[id] ?? null,
      firstComment: id in draft.comments ? commentOf(draft, id) : null,
    })),
  });
  if (done.links) Object.assign(draft, tagged(draft, done));
  return done.links;
}

/** The parts of a draft that tagging changed. */
export function tagged(draft: Pick<Draft, 'overrides' | 'comments'>, done: Tagged): Pick<Draft, 'text' | 'comment' | 'overrides' | 'comments'> {
  const texts = done.deliveries.flatMap((d) => (d.text === null ? [] : [[d.connectionId, d.text] as const]));
  const comments = done.deliveries.flatMap((d) => (d.firstComment === null ? [] : [[d.connectionId, d.firstComment] as const]));
  return {
    text: done.text,
    comment: done.firstComment,
    overrides: { ...draft.overrides, ...Object.fromEntries(texts) },
    comments: { ...draft.comments, ...Object.fromEntries(comments) },
  };
}
