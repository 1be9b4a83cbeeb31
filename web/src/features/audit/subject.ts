// What an audit row was about, as something to read and, where the app shows it, to go to.

import type { AuditRow } from '../../api/desk';
import { t, tn } from '../../app/i18n';
import { circuitName, scopeName } from '../../app/scope';
import { store } from '../../app/store.svelte';

export interface Subject {
  text: string;
  href: string | null;
  /** The reason that the person gave. */
  why: string;
  /** Everything that was noted, as JSON; empty when there is nothing more. */
  rest: string;
}

export function subjectOf(row: AuditRow): Subject {
  const data = (row.data && typeof row.data === 'object' ? row.data : {}) as Record<string, unknown>;
  const { why, ...others } = data;
  const rest = Object.values(others).some((v) => v !== null) ? JSON.stringify(others, null, 1) : '';
  const back = row.action === 'post.restored' || row.action === 'post.version_restored';
  const href = typeof data.postId === 'string' ? `/posts/${data.postId}` : back ? `/posts/${row.subject}` : null;
  return { text: nameOf(row, data), href, why: typeof why === 'string' ? why : '', rest };
}

function nameOf({ action, subject }: AuditRow, data: Record<string, unknown>): string {
  const kind = action.split('.')[0];
  if (kind === 'pause') return scopeName(subject);
  if (kind === 'circuit') return circuitName(subject);
  if (kind === 'app') return store.networkName(subject);
  if (kind === 'sweep') return '';
  if (kind === 'connection' && typeof data.name === 'string') return data.name;
  if (kind === 'connections' && subject === 'all') return t('audit.allConnections');
  if (['import', 'feed'].includes(kind ?? '') && typeof data.name === 'string') return data.name;
  if (Array.isArray(data.media)) return tn('audit.media', data.media.length);
  if (kind === 'media' && subject !== store.session?.workspace.id) return t('audit.medium');
  if (Array.isArray(data.ids)) return tn('audit.deliveries', data.ids.length);
  const connection = store.connections.find((c) => c.id === subject);
  if (connection) return connection.name;
  if (kind === 'snippet' && typeof data.name === 'string') return data.name;
  if (kind === 'post') return typeof data.says === 'string' && data.says ? `“${data.says}”` : t('audit.post');
  if (kind === 'delivery') return t('audit.delivery');
  return subject === store.session?.workspace.id ? '' : subject;
}
