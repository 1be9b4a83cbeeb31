// What an audit row was about, as something to read and, where the app shows it, to go to.

import type { AuditRow } from '../../api/desk';
import { scopeName } from '../../app/scope';
import { store } from '../../app/store.svelte';

export interface Subject {
  text: string;
  href: string | null;
  why: string;
  /** The rest of what was noted, as JSON; empty when there is none. */
  rest: string;
}

export function subjectOf(row: AuditRow): Subject {
  const data = (row.data && typeof row.data === 'object' ? row.data : {}) as Record<string, unknown>;
  const { why, ...others } = data;
  const rest = Object.keys(others).length ? JSON.stringify(others, null, 1) : '';
  const said = typeof why === 'string' ? why : '';
  const post = typeof data.postId === 'string' ? `/posts/${data.postId}` : null;
  return { text: nameOf(row), href: post, why: said, rest };
}

function nameOf({ action, subject }: AuditRow): string {
  const kind = action.split('.')[0];
  if (kind === 'pause') return scopeName(subject);
  const connection = store.connections.find((c) => c.id === subject);
  if (connection) return connection.name;
  // Ids are long; their end tells them apart.
  return /^[0-9a-f]{8}-/.test(subject) ? `…${subject.slice(-8)}` : subject;
}
