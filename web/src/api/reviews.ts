// Approvals in the REST contract. Instants are ISO-8601 UTC.

import type { Id, Iso, Post, ReviewState, Stage } from './types';

export interface Shown {
  text: string;
  title: string | null;
  media: { id: Id; version: number; alt: string }[];
  deliveries: { id: Id; parentId: Id | null; connectionId: Id; network: string; placement: string; text: string | null; options: Record<string, string> }[];
}
export interface Review {
  id: Id;
  postId: Id;
  stage: Stage;
  state: ReviewState;
  note: string | null;
  requestedBy: string | null;
  requestedAt: Iso;
  decidedBy: string | null;
  decidedAt: Iso | null;
  why: string | null;
  comments: { id: Id; at: Iso; by: string; text: string }[];
  /** Names what it is about: an answer says which it saw. */
  content: string;
  /** What the post said at the review before. */
  before: Shown | null;
  can: ('approve' | 'request_changes' | 'comment' | 'swap' | 'withdraw')[];
  /** Why this person may not approve. */
  barred: string | null;
  post: Post;
}
export interface Approved {
  review: Review;
  clientNext: boolean;
  passed: number;
  suggestedAt: Iso | null;
}
export interface ClientLink {
  id: Id;
  name: string;
  postIds: Id[];
  state: 'open' | 'expired' | 'revoked';
  createdAt: Iso;
  expiresAt: Iso;
  usedAt: Iso | null;
  /** Told once. */
  url: string | null;
}
