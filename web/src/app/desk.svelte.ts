// What needs a person, on every page: questions, alerts, pauses. Kept up by the live feed, and read
// again now and then, because what a command line changes tells no feed of ours.

import { ApiError, get, post as send } from '../api/client';
import type { Alert, DeadLetter, DeadLetters, Pause } from '../api/desk';
import type { Delivery, Id } from '../api/types';
import type { Boot } from './boot';
import { store } from './store.svelte';

const GATHER = 250;
const AGAIN = 60_000;

export type Answer = { live: true; url?: string } | { live: false };

class Desk {
  pauses = $state.raw<Pause[]>([]);
  alerts = $state.raw<Alert[]>([]);
  /** Deliveries in doubt; the oldest first. */
  questions = $state.raw<DeadLetter[]>([]);

  private watchers = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private known = false;

  start(boot: Boot): void {
    this.pauses = boot.pauses ?? [];
    this.alerts = boot.alerts ?? [];
    this.questions = boot.questions ?? [];
    this.known = Boolean(boot.pauses && boot.alerts && boot.questions);
  }
  /** Fetches what the shell did not carry. */
  async complete(): Promise<void> {
    if (!this.known) await this.load();
  }

  /** Each part for itself: one that cannot be read does not hide the others. */
  async load(): Promise<void> {
    await Promise.all([
      get<{ items: Pause[] }>('/pauses').then(({ items }) => (this.pauses = items)),
      get<{ items: Alert[] }>('/alerts', { query: { open: 'true' } }).then(({ items }) => (this.alerts = items)),
      get<DeadLetters>('/dead-letters', { query: { state: 'held', cause: 'unknown', limit: 100 } }).then(({ items }) => {
        const asked = items.filter((d) => d.question === 'is_it_live');
        this.questions = asked.sort((a, b) => a.since.localeCompare(b.since));
      }),
    ]);
    this.known = true;
  }

  /** Any news may concern the desk: what is shown of it is read again, once for many events. */
  onEvent(name: string): void {
    if (['media', 'hello', 'lock', 'snippet'].includes(name) || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.refresh();
    }, GATHER);
  }

  /** Called after every look, until the returned function is called. */
  watch(tell: () => void): () => void {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  }

  /** Looks again by itself while somebody looks at the page. */
  run(): () => void {
    const look = () => document.hidden || this.refresh();
    const timer = setInterval(look, AGAIN);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      clearTimeout(this.timer);
      this.timer = undefined;
      document.removeEventListener('visibilitychange', look);
    };
  }

  /** A person's word for whether a delivery is live. */
  async answer(delivery: { id: Id; postId: Id }, body: Answer): Promise<void> {
    await send<Delivery>(`/deliveries/${delivery.id}/answer`, body);
    this.questions = this.questions.filter((q) => q.id !== delivery.id);
    await store.loadPost(delivery.postId);
    for (const tell of this.watchers) tell();
  }

  refresh(): void {
    // A look that fails is made up for by the next one; "reconnecting" says so meanwhile.
    this.load().catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
    for (const tell of this.watchers) tell();
  }
}

export const desk = new Desk();
