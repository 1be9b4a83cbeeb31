// Campaigns and series of /api/v1. Times without a zone are wall-clock times of the thing's own zone.

import type { Id, Iso, PostBody, Problem } from './types';

export interface Occurrence {
  /** Its name: the wall-clock time that it stands for. */
  occurrence: string;
  at: Iso;
  state: 'post' | 'planned' | 'skipped';
  postId: Id | null;
  detached: boolean;
}
export interface Expected {
  rule: string;
  start: string;
  timezone: string;
  next: Occurrence[];
}
export interface Series {
  id: Id;
  campaignId: Id | null;
  rule: string;
  start: string;
  timezone: string;
  state: 'active' | 'paused' | 'ended';
  without: string[];
  next: Occurrence[];
}
export interface SeriesChanged {
  series: Series;
  removed: number;
  kept: number;
  held: number;
  queued: number;
  underWay: number;
  late: number;
}

export type CampaignKind = 'instant' | 'event' | 'promotion' | 'weekly';
export type CampaignState = 'draft' | 'scheduled' | 'paused' | 'cancelled' | 'ended';
export interface CampaignDates {
  time?: string | null;
  event?: string | null;
  from?: string | null;
  to?: string | null;
  weekdays?: string[];
  weeks?: number | null;
  without?: string[];
  also?: string[];
}
export interface CampaignForm {
  kind: CampaignKind;
  name: string;
  objective: string;
  goals: string[];
  budget: { amount: string; currency: string } | null;
  timezone: string | null;
  dates: CampaignDates;
  post: PostBody;
  texts: Record<string, string>;
}
export interface Slot {
  /** Its name: the wall-clock time. */
  slot: string;
  at: Iso;
  label: string;
  added: boolean;
  struck: boolean;
  past: boolean;
  problems: Problem[];
}
export interface CampaignPreview {
  timezone: string;
  slots: Slot[];
  posts: number;
  repeats: { rule: string; start: string } | null;
  problems: Problem[];
}
export interface Campaign {
  id: Id;
  state: CampaignState;
  timezone: string;
  form: CampaignForm;
  progress: { all: number; draft: number; inReview: number; scheduled: number; published: number; stuck: number; cancelled: number };
  first: Iso | null;
  last: Iso | null;
  series: Id[];
  canReopen: boolean;
  createdAt: Iso;
}
/** What a bar above the weeks shows. */
export interface CampaignBrief {
  id: Id;
  name: string;
  state: CampaignState;
  first: Iso | null;
  last: Iso | null;
}
export interface Whole {
  campaign: Campaign;
  posts: number;
  held: number;
  queued: number;
  underWay: number;
  late: number;
}
