// Speaks /api/v1. Every failure, also "no answer at all", is an `ApiError` that carries the
// server's envelope: a sentence for a person, a code, the fields at fault and the request id.

import { t } from '../app/i18n';
import type { Envelope, List, Problem } from './types';

export const BASE = '/api/v1';
/** Dispatched at the document when the session is over. */
export const SIGNED_OUT = 'carillon:signed-out';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(readonly envelope: Envelope) {
    super(envelope.error);
  }
  get code(): string {
    return this.envelope.code;
  }
  get status(): number {
    return this.envelope.status;
  }
  get requestId(): string | null {
    return this.envelope.requestId;
  }
  get fix(): string | null {
    return this.envelope.details?.fix ?? null;
  }
  /** Another post goes out there at about that time, or said the same lately. */
  get clashes(): boolean {
    return this.status === 409 && (this.code === 'collision' || this.code === 'duplicate');
  }
  /** A free time near the one that was asked for. */
  get suggestedAt(): string | null {
    return this.envelope.details?.suggestedAt ?? null;
  }
  get problems(): Problem[] {
    return this.envelope.details?.problems ?? [];
  }
}

export interface Options {
  query?: Record<string, string | number | null | undefined>;
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export async function api<T>(method: string, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (options.idempotencyKey) headers['idempotency-key'] = options.idempotencyKey;
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (options.signal) init.signal = options.signal;

  let response: Response;
  try {
    response = await fetch(BASE + path + search(options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
  if (response.status === 401) document.dispatchEvent(new Event(SIGNED_OUT));
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  if (!response.ok) throw failure(response.status, text);
  return JSON.parse(text) as T;
}

export const get = <T>(path: string, options?: Options) => api<T>('GET', path, undefined, options);
export const post = <T>(path: string, body: unknown = {}, options?: Options) => api<T>('POST', path, body, options);
export const patch = <T>(path: string, body: unknown, options?: Options) => api<T>('PATCH', path, body, options);
/** A file as it is. */
export async function send<T>(path: string, file: Blob): Promise<T> {
  const headers = { accept: 'application/json', 'content-type': 'application/octet-stream' };
  let response: Response;
  try {
    response = await fetch(BASE + path, { method: 'POST', headers, credentials: 'same-origin', body: file });
  } catch {
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) throw failure(response.status, text);
  return JSON.parse(text) as T;
}
export const del = <T = void>(path: string, options?: Options) => api<T>('DELETE', path, undefined, options);

/** Every item of a paged list, page after page. */
export async function all<T>(path: string, query: NonNullable<Options['query']> = {}): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: List<T> = await get<List<T>>(path, { query: { ...query, cursor } });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return items;
}

/** An answer that is no success, as the error that it stands for. A proxy's HTML page counts too. */
export function failure(status: number, text: string): ApiError {
  try {
    const envelope = JSON.parse(text) as Partial<Envelope>;
    if (typeof envelope.error === 'string' && typeof envelope.code === 'string') {
      return new ApiError({ requestId: null, status, ...envelope } as Envelope);
    }
  } catch {
    // Not JSON: the sentence below says what is known.
  }
  return new ApiError({ error: t('error.status', { status }), code: 'http_error', status, requestId: null });
}

export function unreachable(): ApiError {
  return new ApiError({ error: t('error.unreachable'), code: 'unreachable', status: 0, requestId: null });
}

/** Whatever was thrown, as something to show. A programming error is thrown on, not shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  throw error;
}

function search(query: Options['query']): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined) params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : '';
}
