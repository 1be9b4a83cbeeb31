// The pictures and videos of a post in the making: uploading, processing, ready or failed.

import { asApiError, get, patch, type ApiError } from '../../api/client';
import type { Media, MediaShort, MediaState, VideoFacts } from '../../api/types';
import type { Draft } from './draft';
import { says } from '../uploads/shelf.svelte';
import { Transfer } from '../uploads/transfer';

export interface TrayItem {
  key: string;
  name: string;
  /** The bytes at hand, shown until the server has a thumbnail. */
  preview: string | null;
  progress: number;
  /** While it is uploading: nothing is sent until somebody resumes it. */
  paused: boolean;
  state: 'uploading' | MediaState;
  id: string | null;
  thumbUrl: string | null;
  film: boolean;
  durationMs: number | null;
  alt: string;
  problem: string | null;
}

let next = 1;

export class Tray {
  items = $state<TrayItem[]>([]);
  private uploads = new Map<string, Transfer>();

  constructor(media: Draft['media'] = []) {
    this.items = media.map(known);
  }

  get uploading(): boolean {
    return this.items.some((i) => i.state === 'uploading');
  }
  /** What the post takes along. */
  get media(): Draft['media'] {
    return this.items.flatMap((i) =>
      i.id && i.state !== 'uploading'
        ? [
            {
              id: i.id,
              name: i.name,
              contentType: i.film ? 'video/' : 'image/',
              durationMs: i.durationMs,
              thumbUrl: i.thumbUrl,
              alt: i.alt,
              state: i.state,
              width: null,
              height: null,
            },
          ]
        : [],
    );
  }

  add(files: Iterable<File>): void {
    for (const file of files) void this.send(file);
  }
  /** One that is in the library already. */
  use(media: Media): void {
    if (!this.items.some((i) => i.id === media.id)) this.items.push(known(media));
  }
  remove(key: string): void {
    const item = this.find(key);
    this.uploads.get(key)?.cancel();
    if (item?.preview) URL.revokeObjectURL(item.preview);
    this.items = this.items.filter((i) => i.key !== key);
  }
  pause(key: string): void {
    this.uploads.get(key)?.pause();
  }
  resume(key: string): void {
    this.uploads.get(key)?.resume();
  }
  async saveAlt(key: string): Promise<ApiError | null> {
    const item = this.find(key);
    if (!item?.id) return null;
    try {
      await patch<Media>(`/media/${item.id}`, { alt: item.alt.trim() });
      return null;
    } catch (error) {
      return asApiError(error);
    }
  }
  /** The server has news of a file. */
  async refresh(id: string): Promise<void> {
    const item = this.items.find((i) => i.id === id);
    if (!item) return;
    try {
      this.take(item, await get<Media>(`/media/${id}`));
    } catch (error) {
      item.problem = asApiError(error).message;
    }
  }
  /** Asks about everything that was not ready when last seen. */
  catchUp(): void {
    for (const { id, state } of this.items) if (id && state !== 'ready') void this.refresh(id);
  }
  close(): void {
    for (const one of this.uploads.values()) one.cancel();
    for (const item of this.items) if (item.preview) URL.revokeObjectURL(item.preview);
  }

  private async send(file: File): Promise<void> {
    const made = blank(file.name);
    made.film = file.type.startsWith('video/');
    if (file.type.startsWith('image/')) made.preview = URL.createObjectURL(file);
    this.items.push(made);
    const item = this.find(made.key);
    if (!item) return;
    const transfer = new Transfer(file, ({ step, sent, problem }) => {
      Object.assign(item, { progress: sent / file.size, paused: step === 'paused', problem: says(problem) });
    });
    this.uploads.set(item.key, transfer);
    try {
      this.take(item, await transfer.done);
      // The news that it is ready may have been faster than the answer.
      if (item.state !== 'ready' && item.id) void this.refresh(item.id);
      // Alt text typed while the bytes were on their way.
      if (item.alt.trim()) await this.saveAlt(item.key);
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code === 'aborted') return;
      item.state = 'failed';
      item.problem = says(problem);
    } finally {
      this.uploads.delete(item.key);
    }
  }

  private take(item: TrayItem, media: Media): void {
    item.id = media.id;
    item.state = media.state;
    item.thumbUrl = media.thumbUrl;
    item.film = isFilm(media);
    item.durationMs = lengthOf(media);
    item.problem = media.state === 'failed' ? (media.problem?.sentence ?? null) : null;
    if (!item.alt) item.alt = media.alt;
  }
  private find(key: string): TrayItem | undefined {
    return this.items.find((i) => i.key === key);
  }
}

/** What goes out of a video. */
export function lengthOf(media: MediaShort & { video?: VideoFacts | null }): number | null {
  const { video } = media;
  return video ? (video.endMs ?? video.durationMs) - (video.startMs ?? 0) : (media.durationMs ?? null);
}
export const isFilm = (media: MediaShort): boolean => media.contentType?.startsWith('video/') ?? false;

function known(m: MediaShort): TrayItem {
  const thumbUrl = m.state === 'ready' ? m.thumbUrl : null;
  return { ...blank(m.name ?? ''), state: m.state, id: m.id, thumbUrl, film: isFilm(m), durationMs: lengthOf(m), alt: m.alt };
}

function blank(name: string): TrayItem {
  return {
    key: `m${next++}`,
    name,
    preview: null,
    progress: 0,
    paused: false,
    state: 'uploading',
    id: null,
    thumbUrl: null,
    film: false,
    durationMs: null,
    alt: '',
    problem: null,
  };
}
