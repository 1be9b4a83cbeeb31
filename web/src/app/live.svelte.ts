// The live feed: one stream for the whole app, resumed by `Last-Event-ID` after any break.
// It never gives up; the wait between tries grows to 15 s. `state` is the word in the header.

import { BASE } from '../api/client';
import { SseParser, type SseMessage } from './sse';

/** Longer than the server's keep-alive: a stream that is silent for this long is dead. */
const SILENCE = 45_000;
const LONGEST_WAIT = 15_000;

/** Dispatched at the document when the feed stands again after a break. */
export const RESUMED = 'carillon:resumed';

export interface Handlers {
  onEvent: (message: SseMessage) => void;
  /** The stream stands again after a break: what was missed beyond the server's log is fetched. */
  onResume: () => void;
  /** The session is over. */
  onSignedOut: () => void;
}

export class Live {
  state = $state<'connecting' | 'live' | 'reconnecting'>('connecting');
  private lastId: string | null;
  private stopped = false;
  private abort: AbortController | null = null;
  private wake: (() => void) | null = null;

  /** `lastId`: where the page's own data ends, so that nothing between it and the feed is missed. */
  constructor(
    private readonly handlers: Handlers,
    lastId: string | null = null,
  ) {
    this.lastId = lastId;
  }

  /** Reads until `stop`. */
  async run(): Promise<void> {
    let tries = 0;
    let before = false;
    while (!this.stopped) {
      const opened = await this.read(() => {
        this.state = 'live';
        if (before) this.handlers.onResume();
        before = true;
      });
      if (this.stopped) return;
      this.state = 'reconnecting';
      tries = opened ? 0 : tries + 1;
      await this.pause(Math.min(LONGEST_WAIT, 500 * 2 ** Math.min(tries, 5)));
    }
  }

  stop(): void {
    this.stopped = true;
    this.abort?.abort();
    this.wake?.();
  }

  /** Tries again at once: the network came back, or the tab is looked at. */
  nudge(): void {
    this.wake?.();
  }

  /** One connection, to its end. True when it was accepted. */
  private async read(onOpen: () => void): Promise<boolean> {
    const abort = new AbortController();
    this.abort = abort;
    let watchdog = setTimeout(() => abort.abort(), SILENCE);
    let opened = false;
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (this.lastId !== null) headers['last-event-id'] = this.lastId;
      const response = await fetch(`${BASE}/events`, { headers, signal: abort.signal, cache: 'no-store' });
      if (response.status === 401) {
        this.stop();
        this.handlers.onSignedOut();
      }
      if (!response.ok || !response.body) return false;
      opened = true;
      onOpen();
      const parser = new SseParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return opened;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE);
        for (const message of parser.push(value)) {
          if (message.id) this.lastId = message.id;
          // On its own turn: a mistake in a handler is reported as such, not taken for a cut line.
          queueMicrotask(() => this.handlers.onEvent(message));
        }
      }
    } catch {
      // Cut off, refused or silent: the same to us, and shown as "reconnecting".
      return opened;
    } finally {
      clearTimeout(watchdog);
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
