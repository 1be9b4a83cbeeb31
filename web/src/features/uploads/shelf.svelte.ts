// The files that the library page is taking in. They go on while other pages are looked at.

import { asApiError } from '../../api/client';
import { t } from '../../app/i18n';
import { voice } from '../../app/say.svelte';
import { kept, type Kept } from './kept';
import { Transfer, discard, reached, type Step } from './transfer';

export interface ShelfItem {
  key: string;
  name: string;
  size: number;
  sent: number;
  step: Step | 'failed';
  problem: string | null;
}
/** One of an earlier page: its file has to be chosen again. */
export interface Left extends Kept {
  sent: number;
}

let next = 1;

class Shelf {
  items = $state<ShelfItem[]>([]);
  left = $state.raw<Left[]>([]);
  private transfers = new Map<string, Transfer>();

  add(files: Iterable<File>): void {
    for (const file of files) void this.send(file);
  }
  pause(key: string): void {
    this.transfers.get(key)?.pause();
  }
  resume(key: string): void {
    this.transfers.get(key)?.resume();
  }
  cancel(key: string): void {
    this.transfers.get(key)?.cancel();
    this.drop(key);
  }

  /** Looks for uploads that an earlier page has begun. */
  async lookBack(): Promise<void> {
    const here = new Set([...this.transfers.values()].map((t) => t.file.name));
    const found: Left[] = [];
    for (const one of kept.all().filter((k) => !here.has(k.name))) {
      try {
        const sent = await reached(one.url);
        if (sent === null) kept.drop(one.url);
        else found.push({ ...one, sent });
      } catch (error) {
        // Nobody knows now; it is asked again with the next look.
        asApiError(error);
      }
    }
    this.left = found;
  }
  forget(url: string): void {
    discard(url);
    this.left = this.left.filter((l) => l.url !== url);
  }

  private async send(file: File): Promise<void> {
    const key = `u${next++}`;
    this.items.push({ key, name: file.name, size: file.size, sent: 0, step: 'waiting', problem: null });
    const item = this.items.find((i) => i.key === key);
    if (!item) return;
    this.left = this.left.filter((l) => l.name !== file.name || l.size !== file.size);
    const transfer = new Transfer(file, ({ step, sent, problem }) => Object.assign(item, { step, sent, problem: says(problem) }));
    this.transfers.set(key, transfer);
    try {
      await transfer.done;
      voice.say(t('upload.arrived', { name: file.name }));
      this.drop(key);
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code === 'aborted') return;
      this.transfers.delete(key);
      Object.assign(item, { step: 'failed', problem: says(problem) });
    }
  }
  private drop(key: string): void {
    this.transfers.delete(key);
    this.items = this.items.filter((i) => i.key !== key);
  }
}

/** What went wrong and what to do about it. */
export function says(problem: { message: string; fix: string | null } | null): string | null {
  if (!problem) return null;
  return problem.fix ? `${problem.message} ${problem.fix}` : problem.message;
}

export const shelf = new Shelf();
