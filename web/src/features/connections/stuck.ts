// Posts that wait for connections which need somebody.

import type { Connection } from '../../api/types';
import { locale } from '../../app/i18n';

export interface Stuck {
  posts: number;
  names: string;
  connections: Connection[];
}

/** Null where nothing waits for a person. */
export function stuckOf(all: Connection[]): Stuck | null {
  const connections = all.filter((c) => c.state === 'needs_action' && c.waiting > 0);
  if (connections.length === 0) return null;
  const posts = connections.reduce((sum, c) => sum + c.waiting, 0);
  const names = new Intl.ListFormat(locale, { type: 'conjunction' }).format(connections.map((c) => c.name));
  return { posts, names, connections };
}
