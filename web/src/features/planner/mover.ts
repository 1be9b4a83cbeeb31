// Carries a move out: shown at once, sent, put back when refused, and undone by the toast or Ctrl+Z.

import { post as send, asApiError, type ApiError } from '../../api/client';
import type { Post } from '../../api/types';
import { clock } from '../../app/clock.svelte';
import { t } from '../../app/i18n';
import { voice } from '../../app/say.svelte';
import { store } from '../../app/store.svelte';
import { toasts } from '../../app/toasts.svelte';
import { dateTime, nearTime } from '../../time/format';
import { asMoved, refusal } from './move';
import { titleOf } from './states';

interface How {
  /** It goes back to where it was. */
  undoing?: boolean;
  /** Although something else goes out there at that time. */
  anyway?: boolean;
}

/** True when the server took it. */
export async function movePost(post: Post, to: number, zone: string, how: How = {}): Promise<boolean> {
  const reason = refusal(post);
  if (reason) return refuse(t(reason));
  if (to <= clock.now && post.state !== 'draft') return refuse(t('move.no.past', { when: dateTime(to, zone) }));

  const from = Date.parse(post.scheduledAt ?? '');
  store.showPost(asMoved(post, to));
  let moved: Post;
  try {
    const anyway = how.undoing || how.anyway ? { allowCollision: true, allowDuplicate: true } : {};
    moved = await send<Post>(`/posts/${post.id}/move`, { scheduledAt: new Date(to).toISOString(), version: post.version, ...anyway });
  } catch (error) {
    store.showPost(post);
    const problem = asApiError(error);
    if (problem.clashes) return clash(post, to, zone, problem);
    if (problem.status === 409 || problem.status === 404) void store.loadPost(post.id);
    return refuse(problem.fix ? `${problem.message} ${problem.fix}` : problem.message);
  }
  store.putPost(moved);
  const sentence = t(how.undoing ? 'move.undone' : 'move.done', { title: titleOf(post, 40), when: dateTime(to, zone) });
  if (how.undoing) {
    toasts.show(sentence);
  } else {
    toasts.show(sentence, {
      actions: [
        {
          label: t('undo'),
          undo: true,
          run: () => void movePost(store.posts.get(post.id) ?? moved, from, zone, { undoing: true }),
        },
      ],
    });
  }
  return true;
}

/** Something else goes out there then: a free time near it, or all the same. */
function clash(post: Post, to: number, zone: string, problem: ApiError): false {
  const again = (when: number, how: How) => void movePost(store.posts.get(post.id) ?? post, when, zone, how);
  const free = problem.suggestedAt === null ? null : Date.parse(problem.suggestedAt);
  const anyway = { label: t('clash.move'), run: () => again(to, { anyway: true }) };
  const instead = free === null ? [] : [{ label: t('clash.use', { when: nearTime(free, to, zone) }), run: () => again(free, {}) }];
  toasts.show(problem.message, { tone: 'error', actions: [...instead, anyway] });
  voice.say(problem.message);
  return false;
}

function refuse(sentence: string): false {
  toasts.error(sentence);
  voice.say(sentence);
  return false;
}
