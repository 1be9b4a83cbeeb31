// What the composer edits, without a screen: made new or from a post, kept in this browser until it
// is sent, turned into the API's body, and where a server's problem belongs on the form.

import type { Delivery, Id, MediaShort, Post, PostBody, Problem } from '../../api/types';
import { at, dayOf, wallText } from '../../time/zone';
import type { Repeat } from './repeat';

export interface Draft {
  text: string;
  title: string;
  connections: Id[];
  /** Own text of a connection; absent means that it inherits. */
  overrides: Record<Id, string>;
  placements: Record<Id, string>;
  /** Answers to what a connection's placement asks beside text and media. */
  options: Record<Id, Record<string, string>>;
  /** The parts of the thread after the first. */
  thread: string[];
  /** Own parts of a connection; absent means that it inherits, none that it gets the first part only. */
  threads: Record<Id, string[]>;
  /** The first comment; `null` where none is asked for. */
  comment: string | null;
  comments: Record<Id, string | null>;
  media: (MediaShort & { name?: string })[];
  day: string;
  time: string;
  zone: string;
  /** How it repeats; `null`: not. */
  repeat: Repeat | null;
}
/** The tab of what all connections inherit. */
export const SHARED = 'shared';
/** What may follow a delivery of a connection, as its network's manifest says. */
export interface Follows {
  thread: boolean;
  comment: boolean;
}
export type Intent = 'schedule' | 'now' | 'draft';

/** What a draft may lack that was kept by an earlier version of the app. */
const nothingMore = () => ({ thread: [], threads: {}, comment: null, comments: {}, options: {}, repeat: null });

export function newDraft(now: number, zone: string, day: string | null, connections: Id[]): Draft {
  const wall = slot(now, zone, day);
  return {
    text: '',
    title: '',
    connections,
    overrides: {},
    placements: {},
    ...nothingMore(),
    media: [],
    day: wall.slice(0, 10),
    time: wall.slice(11),
    zone,
  };
}

export function draftOf(post: Post, now: number): Draft {
  const wall = post.scheduledAt ? wallText(Date.parse(post.scheduledAt), post.timezone) : slot(now, post.timezone, null);
  const draft = newDraft(now, post.timezone, null, []);
  draft.text = post.text;
  draft.title = post.title ?? '';
  draft.media = post.media;
  draft.day = wall.slice(0, 10);
  draft.time = wall.slice(11);
  draft.thread = post.thread.map((part) => part.text);
  const heads = post.deliveries.filter((d) => d.state !== 'removed' && !d.parentId);
  const following = heads.map((head) => followingOf(post, head));
  draft.comment = following.find((f) => f.comment !== null)?.comment ?? null;
  for (const [n, delivery] of heads.entries()) {
    const id = delivery.connectionId;
    draft.connections.push(id);
    draft.placements[id] = delivery.placement;
    if (delivery.text !== null) draft.overrides[id] = delivery.text;
    if (Object.keys(delivery.options).length) draft.options[id] = delivery.options;
    const { thread, comment } = following[n]!;
    if (!sameTexts(thread, draft.thread)) draft.threads[id] = thread;
    if (comment !== draft.comment) draft.comments[id] = comment;
  }
  return draft;
}

/** What follows a delivery, in order. */
function followingOf(post: Post, head: Delivery): { thread: string[]; comment: string | null } {
  const thread: string[] = [];
  let comment: string | null = null;
  const before = new Set([head.id]);
  for (const d of post.deliveries) {
    const dropped = d.state === 'removed' || (d.state === 'cancelled' && head.state !== 'cancelled');
    if (!d.parentId || !before.has(d.parentId) || dropped) continue;
    before.add(d.id);
    if (d.placement === 'comment') comment = d.text;
    else thread.push(d.text ?? '');
  }
  return { thread, comment };
}
const sameTexts = (a: string[], b: string[]) => a.length === b.length && a.every((text, i) => text === b[i]);

/** `whole`: says also what there is none of, as an edit has to. */
export function bodyOf(draft: Draft, intent: Intent, follows: (id: Id) => Follows, whole = false): PostBody {
  const shares = (id: Id) => follows(id).thread && !(id in draft.threads);
  // Without anybody to take it the server says that it would be lost; whoever has parts of its own does not need it.
  const own = draft.connections.some((id) => follows(id).thread && id in draft.threads);
  const thread = own && !draft.connections.some(shares) ? [] : draft.thread;
  const body: PostBody = {
    text: draft.text,
    media: draft.media.map((m) => m.id),
    timezone: draft.zone,
    deliveries: draft.connections.map((connectionId) => {
      const placement = draft.placements[connectionId];
      const text = draft.overrides[connectionId];
      const parts = draft.threads[connectionId];
      const comment = follows(connectionId).comment ? commentOf(draft, connectionId) : null;
      const takes = !follows(connectionId).thread || parts?.length === 0 ? 'first' : (parts?.map(asPart) ?? 'all');
      return {
        connectionId,
        ...(placement === undefined ? {} : { placement }),
        ...(text === undefined ? {} : { text }),
        ...(whole || thread.length || parts?.length ? { thread: takes } : {}),
        ...(whole || comment ? { firstComment: comment ?? '' } : {}),
        ...(whole || answered(draft, connectionId) ? { options: answers(draft, connectionId) } : {}),
      };
    }),
  };
  if (whole || thread.length) body.thread = thread.map(asPart);
  if (draft.title.trim()) body.title = draft.title.trim();
  if (intent !== 'now' && draft.day && draft.time) body.scheduledAt = `${draft.day}T${draft.time}`;
  if (intent === 'draft') body.draft = true;
  return body;
}
/** What was answered, without what was left empty. */
const answers = (draft: Draft, id: Id) => Object.fromEntries(Object.entries(draft.options[id] ?? {}).filter(([, answer]) => answer.trim()));
const answered = (draft: Draft, id: Id) => Object.keys(answers(draft, id)).length > 0;
const asPart = (text: string) => ({ text });

export const threadOf = (draft: Draft, id: Id | null): string[] => (id !== null && draft.threads[id]) || draft.thread;
export const commentOf = (draft: Draft, id: Id | null): string | null =>
  id !== null && id in draft.comments ? (draft.comments[id] ?? null) : draft.comment;

/** The option that is a poll's answers, and those that mean nothing without it. */
export const isPoll = (option: { key: string }): boolean => option.key === 'poll';
export const isOfPoll = (key: string): boolean => ['poll', 'pollQuestion', 'pollFor', 'pollSeveral'].includes(key);
/** The answers of a connection's poll, one a line. */
export const answersOf = (draft: Draft, id: Id): string[] => linesOf(draft.options[id]?.poll ?? '');
export const linesOf = (answer: string): string[] => answer.split('\n').flatMap((line) => line.trim() || []);

/** Anything that would be a loss. */
export function isWorthKeeping(draft: Draft): boolean {
  const { text, title, media, overrides, thread, threads, comment, comments, options } = draft;
  const own = [overrides, threads, comments].some((of) => Object.keys(of).length);
  const told = Object.values(options).some((answers) => Object.values(answers).some((answer) => answer.trim()));
  return Boolean(text.trim() || title.trim() || media.length || thread.length || comment || own || told);
}

export function instantOf(draft: Draft): number | null {
  return draft.day && draft.time ? at(draft.day, draft.time, draft.zone) : null;
}

export type Place = 'text' | 'thread' | 'comment' | 'title' | 'media' | 'options' | 'when' | 'connections' | 'other';

/** Beside which field a problem of the server is shown, for which connection and which part after the first. */
export function placeOf(problem: Problem, draft: Draft): { place: Place; connectionId: Id | null; part?: number } {
  // Of a series the same is said of an instance of it.
  const whole = problem.field.replace(/^(occurrences\[[^\]]*\]|post)\./, '');
  const index = /^deliveries\[(\d+)\]/.exec(whole)?.[1];
  const connectionId = problem.connectionId ?? (index === undefined ? null : (draft.connections[Number(index)] ?? null));
  const field = whole.replace(/^deliveries\[\d+\]\.?/, '');
  const part = /^thread\[(\d+)\]/.exec(field)?.[1];
  if (field.startsWith('thread')) return { place: 'thread', connectionId, ...(part === undefined ? {} : { part: Number(part) }) };
  if (field.startsWith('firstComment')) return { place: 'comment', connectionId };
  if (field.startsWith('text')) return { place: 'text', connectionId };
  if (field.startsWith('title')) return { place: 'title', connectionId };
  if (field.startsWith('options')) return { place: 'options', connectionId };
  if (field.startsWith('media') || field.startsWith('alt')) return { place: 'media', connectionId };
  if (field.startsWith('scheduledAt') || field.startsWith('timezone')) return { place: 'when', connectionId };
  if (field.startsWith('rule') || field.startsWith('without')) return { place: 'when', connectionId };
  if (whole.startsWith('deliveries') || field.startsWith('connection')) return { place: 'connections', connectionId };
  return { place: 'other', connectionId };
}

export function without<T>(of: Record<Id, T>, id: Id): Record<Id, T> {
  const { [id]: _, ...rest } = of;
  return rest;
}

const PREFIX = 'carillon.unsent';

/** Written and not sent: when, and of which version of the post. */
export interface Unsent {
  draft: Draft;
  version: number | null;
  /** ms UTC; 0 in one from before that was kept. */
  at: number;
}

/** What is in a draft, to be compared. */
export const essence = (draft: Draft): string => JSON.stringify({ ...draft, media: draft.media.map((m) => m.id) });

/** Text that was written and not sent, per post; survives a reload and a closed tab. */
export const unsent = {
  read(key: string): Unsent | null {
    const text = localStorage.getItem(`${PREFIX}.${key}`);
    if (!text) return null;
    try {
      const { v, draft, version, at } = JSON.parse(text) as Unsent & { v: number };
      // Written before a draft could have a thread or options.
      return v === 1 ? { version, at: at ?? 0, draft: { ...nothingMore(), ...draft } } : null;
    } catch {
      // Not ours, or written by another version of the app: nothing to restore.
      return null;
    }
  },
  /** `false` when this browser keeps nothing more. */
  write(key: string, draft: Draft, version: number | null, at = Date.now()): boolean {
    try {
      localStorage.setItem(`${PREFIX}.${key}`, JSON.stringify({ v: 1, draft, version, at }));
      return true;
    } catch {
      // Full, or forbidden.
      return false;
    }
  },
  drop(key: string): void {
    localStorage.removeItem(`${PREFIX}.${key}`);
  },
};

/** The next full hour at least ten minutes away; on a later day, nine o'clock. */
function slot(now: number, zone: string, day: string | null): string {
  const soon = Math.ceil((now + 10 * 60_000) / 3_600_000) * 3_600_000;
  if (!day || day <= dayOf(soon, zone)) return wallText(soon, zone);
  return `${day}T09:00`;
}
