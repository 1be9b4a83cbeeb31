// Answering "is it live?": one click each way, with the post's address where there is one.

import { asApiError, type ApiError } from '../../api/client';
import type { Id } from '../../api/types';
import { desk } from '../../app/desk.svelte';

export class Answering {
  url = $state('');
  busy = $state(false);
  failed = $state.raw<ApiError | null>(null);

  constructor(private readonly delivery: () => { id: Id; postId: Id }) {}

  async say(live: boolean): Promise<void> {
    const link = this.url.trim();
    this.busy = true;
    this.failed = null;
    try {
      await desk.answer(this.delivery(), live ? { live, ...(link ? { url: link } : {}) } : { live });
    } catch (error) {
      this.failed = asApiError(error);
    } finally {
      this.busy = false;
    }
  }
}
