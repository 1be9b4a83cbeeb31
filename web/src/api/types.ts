// The REST contract of /api/v1 as TypeScript. Instants are ISO-8601 UTC, ids are UUID text.

export type Iso = string;
export type Id = string;

export interface Session {
  account: { id: Id; name: string; email: string };
  workspace: { id: Id; name: string; timezone: string; demo: boolean; approval: Approval };
  role: string;
  /** May this person look at what is stored of connections? */
  diagnostics: boolean;
  /** Posts that wait for an answer. */
  reviews: number;
  mayApprove: boolean;
  sandboxUrl: string | null;
  version: string;
}
/** Whose yes posts need before they go out. */
export type Approval = 'none' | 'internal' | 'client';
export type Stage = 'internal' | 'client';
export type ReviewState = 'open' | 'approved' | 'changes_requested' | 'voided';

export interface SpecField {
  key: string;
  label: string;
  help: string;
  secret: boolean;
  required: boolean;
}
export type Count = 'chars' | 'utf16' | 'bytes' | 'graphemes' | 'mastodon' | 'weighted' | 'threads';
export interface Placement {
  id: string;
  name: string;
  /** What it may follow; empty for one that stands alone. */
  follows: string[];
  send: { class: 'keyed' | 'handle' | 'readable' | 'blind' };
  /** What can be changed once it is live. */
  edit: 'no' | 'text' | 'titleAndText';
  /** What of followers the network tells, `likes`; empty: nothing. */
  measures: string[];
  text: {
    max: number;
    count: Count;
    maxBytes: number | null;
    maxWithMedia: number | null;
    /** The limit of a text that is the question of a poll. */
    questionMax: number | null;
    maxHashtags: number | null;
    maxMentions: number | null;
    titleMax: number | null;
    required: boolean;
  };
  media: {
    min: number;
    max: number;
    types: string[];
    maxBytes: number;
    ratio: [number, number] | null;
    derivative: 'original' | 'square' | 'story' | 'landscape';
    pull: boolean;
    altMax: number;
    video: VideoRule | null;
  };
  options: Choice[];
}
export interface VideoRule {
  max: number;
  types: string[];
  maxBytes: number;
  seconds: [number, number];
  ratio: [number, number] | null;
  side: [number, number] | null;
  mixed: boolean;
}
/** What a placement asks beside text and media. */
export interface Choice {
  key: string;
  label: string;
  help: string;
  required: boolean;
  kind:
    | { type: 'line' | 'words'; max: number }
    | { type: 'lines'; min: number; max: number; chars: number }
    | { type: 'link' | 'localTime' | 'flag' }
    | { type: 'oneOf'; picks: { value: string; label: string }[] }
    | { type: 'picture'; maxBytes: number };
}
export interface Network {
  id: string;
  name: string;
  code: string;
  /** Empty where the network is many servers. */
  baseUrl: string;
  /** Its own consent page, where it has one. */
  oauth: { scopes: string[]; guide: string[] } | null;
  fields: SpecField[];
  placements: Placement[];
  abilities: { delete: boolean; readBack: boolean; altText: boolean; edit: boolean; measure: boolean; threads: boolean; firstComment: boolean };
  budgets: { posts: number; per: number; of: string[] }[];
}

export interface ConnectionProblem {
  class: string;
  sentence: string;
  action: string;
  actionSentence?: string;
  code: string | null;
}
export interface Connection {
  id: Id;
  network: string;
  name: string;
  remoteId: string | null;
  state: 'active' | 'needs_action' | 'paused';
  problem: ConnectionProblem | null;
  settings: Record<string, string>;
  waiting: number;
  token: TokenLife;
  budgets: BudgetLeft[];
  /** The network said that it takes no post before then. */
  refusedUntil: Iso | null;
  lastPublishedAt: Iso | null;
  checkedAt: Iso | null;
  createdAt: Iso;
}
/** How long a connection's token lasts, as far as that is known. */
export interface TokenLife {
  expiresAt: Iso | null;
  /** When Carillon renews it by itself. */
  renewsAt: Iso | null;
  renewedAt: Iso | null;
  /** When it stops working unless a person connects it again. */
  endsAt: Iso | null;
  /** Why it cannot be renewed. */
  problem: ConnectionProblem | null;
  /** The rights that the network granted, where it says so. */
  scopes: string[] | null;
}
/** What is left of a posting budget. */
export interface BudgetLeft {
  posts: number;
  seconds: number;
  left: number;
  atOnce: number;
  moreAt: Iso | null;
  placements: string[];
  shared: boolean;
}
export interface Target {
  id: string;
  name: string;
  problem: string | null;
}
/** What came of a network's consent page. */
export interface Consent {
  id: Id;
  network: string;
  state: 'waiting' | 'choice' | 'connected' | 'failed';
  problem: ConnectionProblem | null;
  targets: Target[];
  preselected: string | null;
  missing: string[];
  connectionId: Id | null;
  expiresAt: Iso;
}
/** A network with a consent page, and the apps that are set for it. */
export interface NetworkApp {
  network: string;
  name: string;
  ready: boolean;
  registers: boolean;
  redirectUri: string;
  redirectProblem: string | null;
  scopes: string[];
  guide: string[];
  apps: { server: string; clientId: string; origin: 'entered' | 'registered' | 'sandbox'; since: Iso | null }[];
}
export interface CheckResult {
  ok: boolean;
  checks: { name: string; ok: boolean; detail: string; action?: string | null }[];
  connection: Connection;
}

/** What became of a connection that was deleted. */
export interface Disconnected {
  connectionId: Id;
  name: string;
  revocation: 'revoked' | 'unsupported' | 'shared' | 'failed';
  sentence: string;
  cancelled: number;
}
/** What is stored of a connection; tokens come masked. */
export interface Diagnosis {
  connectionId: Id;
  network: string;
  name: string;
  remoteId: string;
  state: Connection['state'];
  tokens: { key: string; masked: string; expiresAt: Iso | null }[];
  token: TokenLife;
  key: string | null;
  newestKey: boolean;
  unopened: string | null;
  settings: Record<string, string>;
  missing: string[];
  checkedAt: Iso | null;
  lastPublishedAt: Iso | null;
  createdAt: Iso;
}

export interface MediaShort {
  id: Id;
  name?: string;
  contentType?: string;
  /** Of a video, once it is known. */
  durationMs?: number | null;
  thumbUrl: string | null;
  alt: string;
  state: MediaState;
  width: number | null;
  height: number | null;
}
export type MediaState = 'pending' | 'processing' | 'ready' | 'failed';
export interface Media extends MediaShort {
  name: string;
  contentType: string;
  bytes: number;
  problem: MediaProblem | null;
  url: string;
  posterUrl: string | null;
  /** Of a picture. */
  frame: Frame | null;
  video: VideoFacts | null;
  derivatives: Derivative[];
  tags: string[];
  /** The number of its present file. */
  version: number;
  createdAt: Iso;
  deletedAt: Iso | null;
}
export interface Tag {
  tag: string;
  media: number;
}
/** A post that has a medium; `needs`: it is not out yet. */
export interface MediaUse {
  postId: string;
  says: string;
  state: string;
  scheduledAt: Iso | null;
  needs: boolean;
}
export interface Deleted {
  deleted: string[];
  kept: { id: string; name: string; uses: MediaUse[] }[];
}
export interface MediaVersion {
  version: number;
  current: boolean;
  bytes: number;
  createdAt: Iso;
}
/** Bytes. */
export interface MediaUsage {
  media: number;
  total: number;
  quota: number | null;
}
export interface Cleaned {
  unused: { media: number; bytes: number; some: { id: string; name: string; bytes: number }[] };
  versions: { files: number; bytes: number };
  orphans: { files: number; bytes: number };
  missing: { media: number; some: { id: string; name: string }[] };
}
export interface MediaProblem {
  sentence?: string;
  actionSentence?: string;
}
/** How a picture is brought to another shape; the focus in percent from the left and the top. */
export interface Frame {
  fit: 'crop' | 'pad';
  focusX: number;
  focusY: number;
}
/** Times are ms from the beginning of the file. */
export interface VideoFacts {
  durationMs: number;
  startMs: number | null;
  endMs: number | null;
  coverMs: number | null;
}
/** What networks are sent of a medium. */
export interface Derivative {
  kind: string;
  state: MediaState;
  /** Percent. */
  progress: number;
  problem: MediaProblem | null;
  bytes: number | null;
  url: string | null;
}

export type PostState =
  | 'draft'
  | 'in_review'
  | 'approved'
  | 'scheduled'
  | 'publishing'
  | 'published'
  | 'partly_published'
  | 'failed'
  | 'cancelled'
  | 'held';
export type DeliveryState =
  | 'draft'
  | 'queued'
  | 'leased'
  | 'sending'
  | 'waiting'
  | 'unknown'
  | 'published'
  | 'failed'
  | 'cancelled'
  | 'held'
  | 'missed'
  | 'removed';
export type Can = 'cancel' | 'retry' | 'rollback' | 'amend' | 'measure' | 'answer' | 'mark_posted' | 'discard';

export interface DeliveryProblem {
  class: string | null;
  sentence: string | null;
  action: string | null;
  actionSentence: string | null;
  code: string | null;
  requestId: string | null;
  status: number | null;
}
export interface Delivery {
  id: Id;
  postId: Id;
  /** The delivery that it follows, as the next part of a thread or a first comment. */
  parentId: Id | null;
  position: number;
  connectionId: Id;
  connectionName: string;
  network: string;
  placement: string;
  /** `null`: the post's; the title only where it was changed at the network. */
  text: string | null;
  title: string | null;
  options: Record<string, string>;
  state: DeliveryState;
  scheduledAt: Iso | null;
  nextAttemptAt: Iso | null;
  attempts: number;
  remoteId: string | null;
  remoteUrl: string | null;
  publishedAt: Iso | null;
  problem: DeliveryProblem | null;
  /** What the check before its time found; `null` when nothing stands against it. */
  warning: DeliveryProblem | null;
  question: 'is_it_live' | null;
  /** What followers did, as the network last told it; what it does not tell is not there. */
  numbers: { at: Iso; values: Record<string, number> } | null;
  can: Can[];
}
export interface Post {
  id: Id;
  text: string;
  title: string | null;
  media: MediaShort[];
  state: PostState;
  scheduledAt: Iso | null;
  timezone: string;
  createdAt: Iso;
  updatedAt: Iso;
  version: number;
  /** The parts after the first that its deliveries share. */
  thread: Part[];
  /** The series that it was made of; `detached`: it was changed by itself since. */
  series?: { id: Id; occurrence: string; detached: boolean } | null;
  campaign?: { id: Id; slot: string | null } | null;
  /** Since then nothing of it goes out: its campaign or series is paused. */
  pausedAt?: Iso | null;
  deliveries: Delivery[];
  /** The latest question for an approval, where the workspace asks for them. */
  review: { id: Id; stage: Stage; state: ReviewState; requestedAt: Iso; decidedAt: Iso | null; why: string | null } | null;
}

/** What a calendar shows of a post; a whole `Post` says as much and more. */
export interface Brief {
  id: Id;
  /** Of one from the calendar its first line. */
  text: string;
  title: string | null;
  state: PostState;
  scheduledAt: Iso | null;
  updatedAt: Iso;
  version: number;
  deliveries: BriefDelivery[];
  clashes?: Clash[];
}
export interface BriefDelivery {
  id: Id;
  connectionId: Id;
  network: string;
  state: DeliveryState;
  question?: 'is_it_live' | null;
  scheduledAt?: Iso | null;
}
/** Another post of the same connection that goes out too close to it, or says the same too soon. */
export interface Clash {
  code: ClashCode;
  connectionId: Id;
  postId: Id;
}

export interface Attempt {
  id: Id;
  fence: number;
  step: string;
  startedAt: Iso;
  finishedAt: Iso | null;
  outcome: string | null;
  class: string | null;
  status: number | null;
  code: string | null;
  sentence: string | null;
  action: string | null;
  requestId: string | null;
  remoteId: string | null;
  nextAttemptAt: Iso | null;
}

export interface PostBody {
  text: string;
  title?: string | null;
  media: Id[];
  scheduledAt?: string | null;
  timezone: string;
  draft?: boolean;
  allowCollision?: boolean;
  allowDuplicate?: boolean;
  thread?: Part[];
  deliveries: {
    connectionId: Id;
    placement?: string;
    text?: string;
    thread?: 'all' | 'first' | Part[];
    firstComment?: string;
    options?: Record<string, string>;
  }[];
}
/** A part of a thread after the first. */
export interface Part {
  text: string;
}
export interface CheckedPost {
  deliveries: {
    connectionId: Id;
    network: string;
    placement: string;
    count: number;
    max: number;
    unit: string;
    problems: Problem[];
  }[];
  problems: Problem[];
  warnings: Warning[];
}
/** What speaks against a post and can be allowed, or passes by itself. */
export interface Warning extends Problem {
  code: 'collision' | 'duplicate' | 'needs_action' | 'paused';
  /** The other post. */
  postId?: Id | null;
  /** The next time that is free. */
  suggestedAt?: Iso | null;
}
export type ClashCode = 'collision' | 'duplicate';
export interface RollbackResult {
  results: {
    deliveryId: Id;
    network: string;
    result: 'deleted' | 'already_gone' | 'cannot_be_deleted' | 'failed' | 'not_published';
    sentence: string;
    url: string | null;
  }[];
  post: Post;
}

export interface Problem {
  field: string;
  code: string;
  message: string;
  connectionId?: Id | null;
}
export interface Envelope {
  error: string;
  code: string;
  status: number;
  requestId: string | null;
  details?: { cause?: string; fix?: string; retry?: boolean; problems?: Problem[]; suggestedAt?: string | null } | null;
}
export interface List<T> {
  items: T[];
  next: string | null;
}

/** What an event of the live feed carries. */
export interface LiveEvent {
  kind: string;
  postId?: Id;
  deliveryId?: Id;
  mediaId?: Id;
  connectionId?: Id;
  id?: Id;
  state?: string;
  at?: Iso;
  /** Of an import: how many of its rows are through. */
  done?: number;
  total?: number;
}
