// Imports, feeds and the calendar's address of /api/v1.

import type { Id, Iso } from './types';

export interface ImportNote {
  /** As Carillon calls it: `scheduledAt`; empty where it is about the whole row. */
  column: string;
  code: string;
  message: string;
  warning: boolean;
}
export interface ImportRow {
  line: number;
  outcome: 'made' | 'known' | 'left_out' | 'refused';
  text: string;
  scheduledAt: Iso | null;
  postId: Id | null;
  notes: ImportNote[];
}
export interface Import {
  id: Id | null;
  dryRun: boolean;
  name: string;
  format: string;
  as: 'draft' | 'scheduled';
  state: 'running' | 'broken_off' | 'done' | 'undone';
  createdAt: Iso;
  total: number;
  made: number;
  known: number;
  leftOut: number;
  refused: number;
  notes: ImportNote[];
  rows: ImportRow[];
}
export interface Undone {
  import: Import;
  deleted: number;
  gone: number;
  kept: { line: number; postId: Id; sentence: string }[];
}
export interface Feed {
  id: Id;
  name: string;
  url: string;
  connections: Id[];
  template: string;
  as: 'draft' | 'queue';
  everyMinutes: number;
  most: number;
  state: 'new' | 'works' | 'failing';
  problem: { sentence: string; actionSentence: string } | null;
  failingSince: Iso | null;
  polledAt: Iso | null;
  nextAt: Iso;
  posts: number;
}
export interface CalendarLink {
  on: boolean;
  url: string | null;
  drafts: boolean;
  createdAt: Iso | null;
  readAt: Iso | null;
}
