// What the composer edits, without a screen: made new or from a post, kept in this browser until it
// is sent, turned into the API's body, and where a server's problem belongs on the form.

import type { Id, MediaShort, Post, PostBody, Problem } from '../../api/types';
import { at, dayOf, wallText } from '../../time/zone';

export interface Draft {
  text: string;
  title: string;
  connections: Id[];
  /** Own text of a connection; absent means that it inherits. */
  overrides: Record<Id, string>;
  placements: Record<Id, string>;
  media: (MediaShort & { name?: string })[];
  day: string;
  time: string;
  zone: string;
}
export type Intent = 'schedule' | 'now' | 'draft';

export function newDraft(now: number, zone: string, day: string | null, connections: Id[]): Draft {
  const wall = slot(now, zone, day);
  return {
    text: '',
    title: '',
    connections,
    overrides: {},
    placements: {},
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
  for (const delivery of post.deliveries) {
    // What follows a delivery comes along with it.
    if (delivery.state === 'removed' || delivery.parentId) continue;
    draft.connections.push(delivery.connectionId);
    draft.placements[delivery.connectionId] = delivery.placement;
    if (delivery.text !== null) draft.overrides[delivery.connectionId] = delivery.text;
  }
  return draft;
}

export function bodyOf(draft: Draft, intent: Intent): PostBody {
  const body: PostBody = {
    text: draft.text,
    media: draft.media.map((m) => m.id),
    timezone: draft.zone,
    deliveries: draft.connections.map((connectionId) => {
      const placement = draft.placements[connectionId];
      const text = draft.overrides[connectionId];
      return {
        connectionId,
        ...(placement === undefined ? {} : { placement }),
        ...(text === undefined ? {} : { text }),
      };
    }),
  };
  if (draft.title.trim()) body.title = draft.title.trim();
  if (intent !== 'now' && draft.day && draft.time) body.scheduledAt = `${draft.day}T${draft.time}`;
  if (intent === 'draft') body.draft = true;
  return body;
}

/** Anything that would be a loss. */
export function isWorthKeeping(draft: Draft): boolean {
  return Boolean(draft.text.trim() || draft.title.trim() || draft.media.length || Object.keys(draft.overrides).length);
}

export function instantOf(draft: Draft): number | null {
  return draft.day && draft.time ? at(draft.day, draft.time, draft.zone) : null;
}

export type Place = 'text' | 'title' | 'media' | 'when' | 'connections' | 'other';

/** Beside which field a problem of the server is shown, and for which connection. */
export function placeOf(problem: Problem, draft: Draft): { place: Place; connectionId: Id | null } {
  const index = /^deliveries\[(\d+)\]/.exec(problem.field)?.[1];
  const connectionId = problem.connectionId ?? (index === undefined ? null : (draft.connections[Number(index)] ?? null));
  const field = problem.field.replace(/^deliveries\[\d+\]\.?/, '');
  if (field.startsWith('text')) return { place: 'text', connectionId };
  if (field.startsWith('title')) return { place: 'title', connectionId };
  if (field.startsWith('media') || field.startsWith('alt')) return { place: 'media', connectionId };
  if (field.startsWith('scheduledAt') || field.startsWith('timezone')) return { place: 'when', connectionId };
  if (problem.field.startsWith('deliveries') || field.startsWith('connection')) return { place: 'connections', connectionId };
  return { place: 'other', connectionId };
}

const PREFIX = 'carillon.unsent';

/** Text that was written and not sent, per post; survives a reload and a closed tab. */
export const unsent = {
  read(key: string): { draft: Draft; version: number | null } | null {
    const text = localStorage.getItem(`${PREFIX}.${key}`);
    if (!text) return null;
    try {
      const found = JSON.parse(text) as { v: number; draft: Draft; version: number | null };
      return found.v === 1 ? found : null;
    } catch {
      // Not ours, or written by another version of the app: nothing to restore.
      return null;
    }
  },
  write(key: string, draft: Draft, version: number | null): void {
    localStorage.setItem(`${PREFIX}.${key}`, JSON.stringify({ v: 1, draft, version }));
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
