// The operator's part of the REST contract: dead letters, pauses, lanes, circuits, sweeps, alerts and
// the audit trail. Instants are ISO-8601 UTC.

import type { Delivery, Id, Iso, List } from './types';

export interface DeadLetter extends Delivery {
  postText: string;
  postTitle: string | null;
  /** The class of its problem. */
  cause: string;
  since: Iso;
  /** Whether it can go out again without a risk of being there twice, and why not. */
  replay: { safe: boolean; why: string | null };
}
export interface DeadLetters extends List<DeadLetter> {
  total: number;
  causes: { cause: string; count: number }[];
}
export interface Replayed {
  dryRun: boolean;
  replayed: { id: Id }[];
  skipped: { id: Id; code: string; sentence: string }[];
}

export interface QueueStats {
  active: number;
  waiting: number;
  delayed: number;
  completed: number;
  failed: number;
  paused: number;
  completedLastMinute: number;
  failedLastMinute: number;
  meanMs: number;
  total: number;
  time: Iso;
}
export interface Pause {
  /** `all`, `network:<id>`, `queue:<pool>` */
  scope: string;
  pausedAt: Iso;
  why: string;
  actor: string;
  /** The whole installation's: it cannot be lifted from a workspace. */
  wide: boolean;
}
export interface Lane {
  lane: string;
  connectionId: Id;
  connectionName: string;
  network: string;
  waiting: number;
  delayed: number;
  active: number;
  nextAt: Iso | null;
  /** Not before: the network's own wait. */
  openAt: Iso | null;
  circuitUntil: Iso | null;
  pausedAt: Iso | null;
  pausedWhy: string | null;
  /** The scope of the pause that covers it. */
  shutBy: string | null;
}
export interface Drained {
  dryRun: boolean;
  drained: { id: Id }[];
  count: number;
}
export interface Circuit {
  /** A network, or one server of a network that has many. */
  name: string;
  network: string;
  state: 'closed' | 'open' | 'probing';
  failures: number;
  openedAt: Iso | null;
  openUntil: Iso | null;
  reason: string | null;
}
export interface Sweep {
  id: Id;
  at: Iso;
  cause: string;
  freed: number;
  unknown: number;
  repaired: number;
  ms: number;
}

export interface Alert {
  id: Id;
  kind: string;
  subject: string;
  sentence: string;
  action: string;
  actionSentence: string;
  raisedAt: Iso;
  clearedAt: Iso | null;
}
export interface AuditRow {
  id: Id;
  at: Iso;
  actor: string;
  actorName: string | null;
  action: string;
  subject: string;
  data: unknown;
}
