// The trash of posts, what they said before, what is written with, and who else is writing.

import type { Id, Iso, MediaShort, Part, Post } from './types';

export interface Trashed {
  /** As its deletion left it: what had not gone out is cancelled. */
  post: Post;
  deletedAt: Iso;
  deletedBy: string | null;
  /** When it will be gone for good. */
  purgedAt: Iso;
}
export interface Restored {
  post: Post;
  /** Names of media that were deleted for good meanwhile. */
  missing: string[];
}

export interface Version {
  version: number;
  /** It is what the post says now. */
  current: boolean;
  writtenBy: string | null;
  writtenAt: Iso;
  text: string;
  title: string | null;
  media: (MediaShort & { gone: boolean })[];
  thread: Part[];
  deliveries: VersionDelivery[];
}
/** What a place had of its own. */
export interface VersionDelivery {
  connectionId: Id;
  connectionName: string;
  placement: string | null;
  text: string | null;
  thread: 'all' | 'first' | Part[] | null;
  firstComment: string | null;
  options: Record<string, string>;
}

export interface Template {
  text: string;
  title: string | null;
  /** Instead of the text, by the network. */
  texts: Record<string, string>;
  firstComment: string | null;
}
export interface Utm {
  source?: string | null;
  medium?: string | null;
  campaign?: string | null;
  term?: string | null;
  content?: string | null;
}
export type SnippetKind = 'template' | 'hashtags' | 'utm';
export interface Snippet {
  id: Id;
  kind: SnippetKind;
  name: string;
  template?: Template;
  hashtags?: string[];
  utm?: Utm;
  changedBy: string | null;
  updatedAt: Iso;
}
export interface Tagged {
  text: string;
  firstComment: string | null;
  deliveries: { connectionId: Id; text: string | null; firstComment: string | null }[];
  /** How many links changed. */
  links: number;
}

export interface Editor {
  name: string;
  since: Iso;
  until: Iso;
}
