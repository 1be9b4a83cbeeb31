// The composer's state: the draft, its pictures, what the server says about it, and sending it.
// Everything typed is also kept in this browser, until it is sent or thrown away.

import { ApiError, asApiError, get, patch, post as send } from '../../api/client';
import type { Series, SeriesChanged } from '../../api/planning';
import type { CheckedPost, ClashCode, Connection, Id, Placement, Post, Problem, Warning } from '../../api/types';
import type { ComposerTask } from '../../app/composer.svelte';
import { t } from '../../app/i18n';
import { store } from '../../app/store.svelte';
import { browserZone, wallText } from '../../time/zone';
import { besideOf, type Beside } from './count';
import { bodyOf, draftOf, essence, instantOf, isWorthKeeping, newDraft, placeOf, SHARED, unsent, without } from './draft';
import type { Draft, Intent, Place, Unsent } from './draft';
import { Following } from './following.svelte';
import { freshKey } from './key';
import { NEVER, ruleOf } from './repeat';
import { Tray } from './tray.svelte';

const LAST_USED = 'carillon.connections';
const DEBOUNCE = 350;
/** When it is tried again to keep what this browser did not. */
const AGAIN = 5_000;

export class Work {
  draft: Draft = $state(newDraft(Date.now(), browserZone(), null, []));
  tray: Tray = $state.raw(new Tray());
  /** The post being edited, as it was when opened. */
  readonly base: Post | null;
  /** The instance of a series that this changes with all behind it. */
  readonly first: Post | null;
  /** When the draft that was found here was written. */
  restored = $state<number | null>(null);
  /** What is typed is not kept in this browser. */
  unkept = $state(false);
  /** Another text of this post that was written here and not saved. */
  before = $state.raw<Unsent | null>(null);
  checked = $state.raw<CheckedPost | null>(null);
  /** What the last try to send was refused for. */
  failed = $state.raw<ApiError | null>(null);
  /** What it was refused as: the complaint stands until that has changed. */
  private refused = '';
  conflict = $state(false);
  /** What somebody else saved meanwhile. */
  theirs = $state.raw<Post | null>(null);
  busy = $state<Intent | null>(null);
  /** The tab that was asked for: a connection, or what they share. */
  wanted = $state<Id>(SHARED);
  /** The tab that is shown. */
  readonly tab = $derived.by(() => (this.draft.connections.includes(this.wanted) ? this.wanted : SHARED));
  /** Which clashes were waved through, and what was written then: another text or time asks again. */
  private waved = $state.raw<{ stamp: string; codes: ClashCode[] }>({ stamp: '', codes: [] });

  /** The thread and the first comment. */
  readonly following = new Following(this);

  private readonly key: string;
  private version: number | null;
  /** What the draft was before anything was typed. */
  private begun = '';
  private checking: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;
  private sent: { body: string; key: string } | null = null;

  constructor(task: ComposerTask) {
    this.base = task.kind === 'edit' ? (store.posts.get(task.postId) ?? null) : null;
    this.first = task.kind === 'following' ? (store.posts.get(task.postId) ?? null) : null;
    this.key = this.base?.id ?? (this.first ? `following.${this.first.id}` : 'new');
    this.version = this.base?.version ?? null;
    const kept = unsent.read(this.key);
    const now = Date.now();
    const from = this.base ?? this.first;
    if (from) this.begun = essence(draftOf(from, now));
    if (kept && kept.version === this.version) {
      this.draft = kept.draft;
      this.restored = kept.at;
      if (task.kind === 'new' && task.day) this.draft.day = task.day;
      if (task.kind === 'new' && task.time) this.draft.time = task.time;
      const past = (instantOf(this.draft) ?? 0) <= now;
      if (past && !this.base) Object.assign(this.draft, pickSlot(now, this.draft.zone));
    } else {
      // The post was changed since this was written: both are there to choose from.
      if (kept) unsent.write(this.beforeKey, kept.draft, kept.version, kept.at);
      this.draft = from ? draftOf(from, now) : newDraft(now, browserZone(), task.kind === 'new' ? task.day : null, lastUsed());
      if (task.kind === 'following') this.draft.repeat = { ...NEVER, often: 'own', rule: task.rule };
    }
    if (task.kind === 'new' && task.day && task.time && this.restored === null) Object.assign(this.draft, { day: task.day, time: task.time });
    this.before = unsent.read(this.beforeKey);
    this.tray = new Tray(this.draft.media);
  }

  readonly chosen = $derived.by(() =>
    this.draft.connections.flatMap((id) => {
      const found = store.connections.find((c) => c.id === id);
      return found ? [found] : [];
    }),
  );
  readonly wantsTitle = $derived.by(() => this.chosen.some((c) => this.placement(c)?.text.titleMax != null));
  /** All that the server objects to, first what it said to the last try. */
  readonly problems = $derived.by<Problem[]>(() => {
    const of = (this.checked?.deliveries ?? []).flatMap((d) =>
      d.problems.map((p) => ({ ...p, connectionId: p.connectionId ?? d.connectionId })),
    );
    // What can be allowed is asked about below the form, and listed as a warning.
    const refused = this.failed?.clashes ? [] : (this.failed?.problems ?? []);
    const all = [...refused, ...(this.checked?.problems ?? []), ...of];
    const seen = new Set<string>();
    return all.filter((p) => {
      const { connectionId, place, part } = placeOf(p, this.draft);
      const id = `${connectionId ?? ''} ${part === undefined && place !== 'comment' ? '' : place} ${part ?? ''} ${p.message}`;
      return !seen.has(id) && seen.add(id);
    });
  });

  readonly warnings = $derived.by<Warning[]>(() => this.checked?.warnings ?? []);
  /** What the last try was refused for, where it can be allowed. */
  readonly clashes = $derived.by<ClashCode[]>(() => {
    if (!this.failed?.clashes) return [];
    const codes = [this.failed.code, ...this.failed.problems.map((p) => p.code)];
    return (['collision', 'duplicate'] as const).filter((code) => codes.includes(code));
  });
  isWaved(code: ClashCode): boolean {
    return this.waved.stamp === this.stamp() && this.waved.codes.includes(code);
  }
  wave(codes: ClashCode[]): void {
    const stamp = this.stamp();
    this.waved = { stamp, codes: [...(this.waved.stamp === stamp ? this.waved.codes : []), ...codes] };
    this.failed = null;
  }
  /** Takes the suggested time instead. */
  useTime(iso: string): void {
    const wall = wallText(Date.parse(iso), this.draft.zone);
    Object.assign(this.draft, { day: wall.slice(0, 10), time: wall.slice(11) });
    this.failed = null;
  }

  placement(connection: Connection): Placement | undefined {
    const placements = store.network(connection.network)?.placements ?? [];
    return placements.find((p) => p.id === this.draft.placements[connection.id]) ?? placements[0];
  }
  textOf(id: Id): string {
    return this.draft.overrides[id] ?? this.draft.text;
  }
  /** What the text of a connection stands beside. */
  beside(connection: Connection): Beside {
    return besideOf(this.draft.options[connection.id], this.draft.media.length > 0);
  }
  /** Does a connection differ from what is shared? */
  differs(id: Id): boolean {
    return id in this.draft.overrides || this.following.isOwn(id, 'thread') || this.following.isOwn(id, 'comment');
  }
  problemsAt(place: Place, connectionId?: Id): Problem[] {
    return this.problems.filter((p) => {
      const found = placeOf(p, this.draft);
      return found.place === place && (connectionId === undefined || found.connectionId === connectionId);
    });
  }

  toggle(id: Id): void {
    const on = this.draft.connections.includes(id);
    this.draft.connections = on ? this.draft.connections.filter((c) => c !== id) : [...this.draft.connections, id];
  }
  customise(id: Id, text: string): void {
    this.draft.overrides = { ...this.draft.overrides, [id]: text };
  }
  reset(id: Id): void {
    this.draft.overrides = without(this.draft.overrides, id);
  }
  /** Writes the text of a tab: what is shared, or a connection's own. */
  setText(tab: Id, text: string): void {
    if (tab === SHARED) this.draft.text = text;
    else this.customise(tab, text);
  }

  /** Called by an effect on every change: keeps the text, asks the server, drops old complaints. */
  changed(): void {
    this.keep();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.check(), DEBOUNCE);
  }
  private keep(): void {
    clearTimeout(this.again);
    const draft = $state.snapshot(this.draft) as Draft;
    if (!isWorthKeeping(draft) || essence(draft) === this.begun) unsent.drop(this.key);
    else if (!unsent.write(this.key, draft, this.version)) {
      this.unkept = true;
      this.again = setTimeout(() => this.keep(), AGAIN);
      return;
    }
    this.unkept = false;
  }
  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.again);
    this.checking?.abort();
    this.tray.close();
  }
  discard(): void {
    unsent.drop(this.key);
    this.restored = null;
    this.take(this.base ? draftOf(this.base, Date.now()) : newDraft(Date.now(), browserZone(), null, lastUsed()));
  }
  private take(draft: Draft): void {
    this.failed = null;
    this.tray.close();
    this.draft = draft;
    this.tray = new Tray(draft.media);
  }

  /** Sends it; the post as the server has it, or null when it was refused (the form says why). */
  async send(intent: Intent): Promise<Post | null> {
    if (this.busy) return null;
    const missing = this.unready(intent);
    if (missing) {
      this.failed = missing;
      this.refused = JSON.stringify(this.body('schedule'));
      return null;
    }
    this.busy = intent;
    this.failed = null;
    this.conflict = false;
    // The server's answer says it all, and a check beside it may ask about what is replaced just now.
    clearTimeout(this.timer);
    this.checking?.abort();
    try {
      const saved = await this.submit(intent);
      unsent.drop(this.key);
      localStorage.setItem(LAST_USED, JSON.stringify(this.draft.connections));
      store.putPost(saved);
      return saved;
    } catch (error) {
      this.failed = asApiError(error);
      this.refused = JSON.stringify(this.body('schedule'));
      if (this.failed.code === 'version_conflict' && this.base) {
        this.theirs = await store.loadPost(this.base.id).catch(() => null);
        this.conflict = true;
      }
      this.timer = setTimeout(() => void this.check(), DEBOUNCE);
      return null;
    } finally {
      this.busy = null;
    }
  }

  /** After a conflict: our text over theirs, which is a version then. */
  async overwrite(): Promise<void> {
    await this.settle();
  }
  /** After a conflict: theirs; ours is kept beside it. */
  async takeTheirs(): Promise<void> {
    const ours = $state.snapshot(this.draft) as Draft;
    const fresh = await this.settle();
    if (!fresh) return;
    this.setAside(ours);
    this.begun = essence(draftOf(fresh, Date.now()));
    this.take(draftOf(fresh, Date.now()));
  }
  /** The post as it is now, for what is saved next to begin from. */
  private async settle(): Promise<Post | null> {
    const fresh = this.base ? await store.loadPost(this.base.id) : null;
    if (!fresh) return null;
    this.version = fresh.version;
    this.conflict = false;
    this.theirs = null;
    this.failed = null;
    return fresh;
  }
  /** What was written here before; what is written now is set aside for it. */
  useBefore(): void {
    const now = $state.snapshot(this.draft) as Draft;
    const before = this.before;
    if (!before) return;
    this.forgetBefore();
    if (essence(now) !== this.begun) this.setAside(now);
    this.take(before.draft);
  }
  forgetBefore(): void {
    this.before = null;
    unsent.drop(this.beforeKey);
  }
  private setAside(draft: Draft): void {
    unsent.write(this.beforeKey, draft, this.version);
    this.before = { draft, version: this.version, at: Date.now() };
  }
  private get beforeKey(): string {
    return `${this.key}.before`;
  }

  /** Can it be said how the post repeats? One that stands is changed by itself. */
  get repeats(): boolean {
    return this.base === null;
  }

  private async submit(intent: Intent): Promise<Post> {
    const body = this.body(intent);
    if (this.isWaved('collision')) body.allowCollision = true;
    if (this.isWaved('duplicate')) body.allowDuplicate = true;
    if (this.base) {
      const change = { ...body, version: this.version, title: body.title ?? null, draft: intent === 'draft' };
      return patch<Post>(`/posts/${this.base.id}`, intent === 'now' ? { ...change, scheduledAt: null } : change);
    }
    const rule = this.draft.repeat && intent !== 'now' ? ruleOf($state.snapshot(this.draft.repeat), this.draft.day) : null;
    if (this.first?.series) {
      const change = { from: this.first.series.occurrence, post: body, ...(rule ? { rule } : {}) };
      const done = await send<SeriesChanged>(`/series/${this.first.series.id}/following`, change);
      return firstOf(done.series);
    }
    // The same content sent again after a lost answer is the same post.
    const text = JSON.stringify(rule ? { post: body, rule } : body);
    if (this.sent?.body !== text) this.sent = { body: text, key: freshKey() };
    const options = { idempotencyKey: this.sent.key };
    if (rule) return firstOf(await send<Series>('/series', { post: body, rule }, options));
    return send<Post>('/posts', body, options);
  }

  private body(intent: Intent) {
    return bodyOf($state.snapshot(this.draft) as Draft, intent, this.following.follows, this.base !== null);
  }

  private stamp(): string {
    const { text, overrides, media, connections, day, time, zone, repeat } = this.draft;
    return JSON.stringify([text, overrides, media.map((m) => m.id), connections, day, time, zone, repeat]);
  }

  private unready(intent: Intent): ApiError | null {
    const problem = (code: string, field: string, message: string) =>
      new ApiError({ error: message, code, status: 422, requestId: null, details: { problems: [{ field, code, message }] } });
    if (this.tray.uploading) return problem('uploading', 'media', t('composer.uploading'));
    if (this.following.lostComment) return problem('comment_unused', 'firstComment', t('composer.lostComment'));
    if (intent === 'draft') return null;
    if (!this.draft.connections.length) return problem('no_connection', 'deliveries', t('composer.noConnection'));
    if (intent === 'schedule' && instantOf(this.draft) === null) return problem('no_time', 'scheduledAt', t('composer.noTime'));
    return null;
  }

  private async check(): Promise<void> {
    this.checking?.abort();
    if (!this.draft.connections.length || !isWorthKeeping(this.draft)) {
      this.checked = null;
      return;
    }
    const abort = new AbortController();
    this.checking = abort;
    const complaint = this.failed;
    const body = this.body('schedule');
    try {
      this.checked = await send<CheckedPost>('/posts/check', body, {
        signal: abort.signal,
        query: { postId: (this.base ?? this.first)?.id },
      });
      if (this.failed === complaint && JSON.stringify(body) !== this.refused) this.failed = null;
    } catch (error) {
      if (abort.signal.aborted) return;
      // A check that is refused names its problems all the same; without an answer the last one stands.
      const problem = asApiError(error);
      if (problem.problems.length) this.checked = { deliveries: [], problems: problem.problems, warnings: [] };
    }
  }
}

/** The first post of a series: it is made with it. */
function firstOf(series: Series): Promise<Post> {
  return get<Post>(`/posts/${series.next.find((o) => o.postId)?.postId}`);
}

/** The connections of the last post that are still there; the only one when there is just one. */
function lastUsed(): Id[] {
  const known = store.connections.map((c) => c.id);
  if (known.length === 1) return known;
  try {
    const stored = JSON.parse(localStorage.getItem(LAST_USED) ?? '[]') as unknown;
    return Array.isArray(stored) ? stored.filter((id): id is Id => known.includes(id as Id)) : [];
  } catch {
    // Unreadable: begin with none.
    return [];
  }
}

function pickSlot(now: number, zone: string): Pick<Draft, 'day' | 'time'> {
  const { day, time } = newDraft(now, zone, null, []);
  return { day, time };
}
