// Cancels many posts, and takes all of it back at once: what was cancelled is planned again as it was.

import { asApiError, patch, post as send } from '../../api/client';
import type { Brief, Post } from '../../api/types';
import { t, tn } from '../../app/i18n';
import { voice } from '../../app/say.svelte';
import { store } from '../../app/store.svelte';
import { toasts } from '../../app/toasts.svelte';

/** Only what would still go out can be cancelled. */
const cancellable = (post: Brief) => ['scheduled', 'held'].includes(post.state);

export async function cancelPosts(posts: readonly Brief[]): Promise<void> {
  const going = posts.filter(cancellable);
  const before = new Map(going.map((post) => [post.id, post]));
  const { done, failed } = await each(going, (post) => send<Post>(`/posts/${post.id}/cancel`));
  const stay = posts.length - done.length;
  const why = failed ?? t('bulk.notWaiting');
  const sentence = [done.length ? tn('bulk.cancelled', done.length) : '', stay ? tn('bulk.stay', stay, { why }) : ''].filter(Boolean).join(' ');
  const undo = () => void restore(done, before);
  const actions = done.length ? [{ label: t('undo'), undo: true, run: undo }] : [];
  toasts.show(sentence, { tone: done.length ? 'plain' : 'error', actions });
  voice.say(sentence);
}

async function restore(posts: readonly Post[], before: ReadonlyMap<string, Brief>): Promise<void> {
  const { done, failed } = await each(posts, (post) => {
    // What had been cancelled before stays so.
    const open = new Set(before.get(post.id)?.deliveries.filter((d) => d.state !== 'cancelled').map((d) => d.id));
    const heads = post.deliveries.filter((d) => !d.parentId && open.has(d.id));
    const deliveries = heads.map(({ connectionId, placement, text, options, scheduledAt }) => ({
      connectionId,
      placement,
      options,
      ...(text === null ? {} : { text }),
      ...(scheduledAt && scheduledAt !== post.scheduledAt ? { scheduledAt } : {}),
    }));
    return patch<Post>(`/posts/${post.id}`, { version: post.version, deliveries, allowCollision: true, allowDuplicate: true });
  });
  const sentence = [done.length ? tn('bulk.restored', done.length) : '', failed ?? ''].filter(Boolean).join(' ');
  toasts.show(sentence, { tone: failed ? 'error' : 'plain' });
  voice.say(sentence);
}

/** One after the other; the first refusal is told, the others go on. */
async function each<P extends Brief>(posts: readonly P[], ask: (post: P) => Promise<Post>): Promise<{ done: Post[]; failed: string | null }> {
  const done: Post[] = [];
  let failed: string | null = null;
  for (const post of posts) {
    try {
      const answer = await ask(post);
      store.putPost(answer);
      done.push(answer);
    } catch (error) {
      failed ??= asApiError(error).message;
    }
  }
  return { done, failed };
}
