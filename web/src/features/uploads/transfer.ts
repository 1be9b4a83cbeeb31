// One file to the server in pieces, by the tus protocol. It can be paused, survives lost connections
// and a server that is started again, and goes on after a reload when the same file is chosen again.
// Not tus-js-client: it would be a sixth of what a page may weigh, for what stands here.

import { BASE, asApiError, failure, get, type ApiError } from '../../api/client';
import type { Media } from '../../api/types';
import { kept } from './kept';
import { aborted, request as xhr, type Answer, type Request } from './request';

/** Where a transfer is: `waiting` for its turn or for another try. */
export type Step = 'waiting' | 'sending' | 'paused';
export interface Told {
  step: Step;
  /** Bytes. */
  sent: number;
  /** Why it does not go on by itself. */
  problem: ApiError | null;
}

/** Bytes of one request. The server answers for less than that at a time. */
const CHUNK = 16 << 20;
/** Files at once: a browser has six connections, and the rest of the app needs some. */
const AT_ONCE = 2;
/** Waits before further tries, in ms; after these a person has to ask for one. */
const WAITS = [1_000, 2_000, 5_000, 10_000, 20_000, 30_000];

export class Transfer {
  readonly done: Promise<Media>;
  private told: Told = { step: 'waiting', sent: 0, problem: null };
  private url: string | null;
  private over = false;
  private abort: (() => void) | null = null;
  private wake: (() => void) | null = null;

  constructor(
    readonly file: File,
    private readonly tell: (told: Told) => void,
    private readonly request: Request = xhr,
  ) {
    this.url = kept.find(file)?.url ?? null;
    this.done = this.run();
  }

  pause(): void {
    this.set({ step: 'paused', problem: null });
    this.abort?.();
    this.wake?.();
  }
  resume(): void {
    if (this.told.step === 'paused') this.set({ step: 'waiting', problem: null });
    this.wake?.();
  }
  /** Ends it; what the server has of it goes. */
  cancel(): void {
    this.over = true;
    this.abort?.();
    this.wake?.();
    if (this.url) discard(this.url, this.request);
  }

  private async run(): Promise<Media> {
    for (let failures = 0; ; ) {
      while (this.told.step === 'paused' && !this.over) await this.rest();
      const leave = await enter();
      let wait = 0;
      const before = this.told.sent;
      try {
        if (this.over) throw aborted();
        if (this.told.step === 'paused') continue;
        this.set({ step: 'sending', problem: null });
        return await this.send();
      } catch (error) {
        if (this.over) throw aborted();
        const problem = asApiError(error);
        // Paused meanwhile.
        if (problem.code === 'aborted') continue;
        if (isFinal(problem)) {
          if (this.url) kept.drop(this.url);
          throw problem;
        }
        if (this.told.sent > before) failures = 0;
        wait = isPassing(problem) ? (WAITS[failures++] ?? 0) : 0;
        if (!wait) failures = 0;
        this.set(wait ? { step: 'waiting' } : { step: 'paused', problem });
      } finally {
        leave();
      }
      if (wait) await this.rest(wait);
    }
  }

  private async send(): Promise<Media> {
    let media = this.url ? await this.ask() : null;
    if (!this.url) await this.begin();
    while (!media) media = await this.piece();
    if (this.url) kept.drop(this.url);
    return get<Media>(`/media/${media}`);
  }

  /** How far it has come; the medium's id when it is one. */
  private async ask(): Promise<string | null> {
    return this.arrived(await this.call('HEAD', this.url ?? ''));
  }

  private async begin(): Promise<void> {
    const metadata = `filename ${base64(this.file.name)}`;
    const headers = { 'upload-length': String(this.file.size), 'upload-metadata': metadata };
    const answer = await this.call('POST', `${BASE}/uploads`, headers);
    this.url = answer.header('location');
    if (!this.url) throw failure(answer.status, '');
    kept.add(this.file, this.url);
    this.set({ sent: 0 });
  }

  /** Sends the next piece; the medium's id after the last one. */
  private async piece(): Promise<string | null> {
    const from = this.told.sent;
    const body = this.file.slice(from, from + CHUNK);
    const headers = { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(from) };
    const answer = await this.call('PATCH', this.url ?? '', headers, body, (bytes) => this.set({ sent: from + bytes }));
    return this.arrived(answer);
  }

  private arrived(answer: Answer): string | null {
    this.set({ sent: Number(answer.header('upload-offset')) });
    return answer.header('media-id');
  }

  private async call(
    method: string,
    url: string,
    headers: Record<string, string> = {},
    body: Blob | null = null,
    sent: (bytes: number) => void = () => {},
  ): Promise<Answer> {
    const running = this.request(method, url, headers, body, sent);
    this.abort = running.abort;
    try {
      const answer = await running.answer;
      if (answer.status < 400) return answer;
      const problem = failure(answer.status, answer.text);
      if (this.url === url && [404, 410].includes(problem.status)) {
        // It is over there: the next try begins anew.
        kept.drop(url);
        this.url = null;
        this.set({ sent: 0 });
      }
      throw problem;
    } finally {
      this.abort = null;
    }
  }

  private set(told: Partial<Told>): void {
    this.told = { ...this.told, ...told };
    this.tell(this.told);
  }
  /** Returns after so long, when something is asked for, or when the line is back. */
  private async rest(ms?: number): Promise<void> {
    const over = new AbortController();
    await new Promise<void>((wake) => {
      this.wake = wake;
      if (ms !== undefined) {
        const timer = setTimeout(wake, ms);
        over.signal.addEventListener('abort', () => clearTimeout(timer));
      }
      addEventListener('online', () => wake(), { signal: over.signal });
    });
    over.abort();
    this.wake = null;
  }
}

/** Takes what has arrived of an upload from the server; where that fails, it goes by itself in time. */
export function discard(url: string, request: Request = xhr): void {
  kept.drop(url);
  request('DELETE', url, {}, null, () => {}).answer.catch(() => {});
}

/** How far an upload of an earlier page has come, in bytes; `null`: it is over. */
export async function reached(url: string, request: Request = xhr): Promise<number | null> {
  const answer = await request('HEAD', url, {}, null, () => {}).answer;
  return answer.status === 200 && !answer.header('media-id') ? Number(answer.header('upload-offset')) : null;
}

/** Nothing that is sent again will be taken. */
const isFinal = ({ status }: ApiError) => [400, 412, 413, 415, 422].includes(status);
/** It may work in a moment without anybody's doing. */
const isPassing = ({ status }: ApiError) =>
  [0, 404, 408, 409, 410, 423, 429, 460].includes(status) || (status >= 500 && status !== 507);

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

let places = AT_ONCE;
const queue: (() => void)[] = [];
/** Waits for a place among the files that are sent; call what it gives to leave it. */
async function enter(): Promise<() => void> {
  if (places > 0) places -= 1;
  else await new Promise<void>((go) => queue.push(go));
  return () => {
    const next = queue.shift();
    if (next) next();
    else places += 1;
  };
}
