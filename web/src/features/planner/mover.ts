// Carries a move out: shown at once, sent, put back when refused, and undone by the toast or Ctrl+Z.

import { post as send, asApiError } from '../../api/client';
import type { Post } from '../../api/types';
import { clock } from '../../app/clock.svelte';
import { t } from '../../app/i18n';
import { voice } from '../../app/say.svelte';
import { store } from '../../app/store.svelte';
import { toasts } from '../../app/toasts.svelte';
import { dateTime } from '../../time/format';
import { asMoved, refusal } from './move';
import { titleOf } from './states';

/** True when the server took it. */
export async function movePost(post: Post, to: number, zone: string, undoing = false): Promise<boolean> {
  const reason = refusal(post);
  if (reason) return refuse(t(reason));
  if (to <= clock.now && post.state !== 'draft') return refuse(t('move.no.past', { when: dateTime(to, zone) }));

  const from = Date.parse(post.scheduledAt ?? '');
  store.showPost(asMoved(post, to));
  let moved: Post;
  try {
    moved = await send<Post>(`/posts/${post.id}/move`, { scheduledAt: new Date(to).toISOString(), version: post.version });
  } catch (error) {
    store.showPost(post);
    const problem = asApiError(error);
    if (problem.status === 409 || problem.status === 404) void store.loadPost(post.id);
    return refuse(problem.fix ? `${problem.message} ${problem.fix}` : problem.message);
  }
  store.putPost(moved);
  const sentence = t(undoing ? 'move.undone' : 'move.done', { title: titleOf(post, 40), when: dateTime(to, zone) });
  if (undoing) {
    toasts.show(sentence);
  } else {
    toasts.show(sentence, {
      action: {
        label: t('undo'),
        undo: true,
        run: () => void movePost(store.posts.get(post.id) ?? moved, from, zone, true),
      },
    });
  }
  return true;
}

function refuse(sentence: string): false {
  toasts.error(sentence);
  voice.say(sentence);
  return false;
}
