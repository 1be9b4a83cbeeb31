// Carries moves out: shown at once, sent, put back when refused, and undone by the toast or Ctrl+Z.
// One post asks about what stands close to it; many move all together or not at all.

import { post as send, asApiError, type ApiError } from '../../api/client';
import type { Brief, Post } from '../../api/types';
import { clock } from '../../app/clock.svelte';
import { t, tn } from '../../app/i18n';
import { voice } from '../../app/say.svelte';
import { store } from '../../app/store.svelte';
import { toasts } from '../../app/toasts.svelte';
import { dateTime, nearTime } from '../../time/format';
import { asMoved, dueAt, refusal } from './move';
import { titleOf } from './states';

interface How {
  /** It goes back to where it was. */
  undoing?: boolean;
  /** Although something else goes out there at that time. */
  anyway?: boolean;
}
const allowing = ({ undoing, anyway }: How) => (undoing || anyway ? { allowCollision: true, allowDuplicate: true } : {});
const now = <P extends Brief>(post: P): Brief => store.chips.get(post.id) ?? post;

/** True when the server took it. */
export async function movePost(post: Brief, to: number, zone: string, how: How = {}): Promise<boolean> {
  const reason = stays(post, to, zone);
  if (reason) return refuse(reason);

  const from = dueAt(post);
  store.showPost(asMoved(post, to));
  let moved: Post;
  try {
    moved = await send<Post>(`/posts/${post.id}/move`, { scheduledAt: new Date(to).toISOString(), version: post.version, ...allowing(how) });
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
    const undo = () => void movePost(now(moved), from, zone, { undoing: true });
    toasts.show(sentence, { actions: [{ label: t('undo'), undo: true, run: undo }] });
  }
  return true;
}

export interface Move {
  post: Brief;
  to: number;
}

/** Moves those that can; says which stay and why, and takes all back at once. */
export async function movePosts(moves: readonly Move[], zone: string, how: How = {}): Promise<boolean> {
  const [first] = moves;
  if (moves.length === 1 && first) return movePost(first.post, first.to, zone, how);
  const reasons = moves.map(({ post, to }) => stays(post, to, zone));
  const going = moves.filter((_, i) => !reasons[i]);
  const left = reasons.filter((reason) => reason !== null);
  if (!going.length) return refuse(tn('bulk.stay', left.length, { why: left[0] ?? '' }));

  const back = going.map(({ post }) => ({ post, to: dueAt(post) }));
  for (const { post, to } of going) store.showPost(asMoved(post, to));
  let moved: Post[];
  try {
    const posts = going.map(({ post, to }) => ({ id: post.id, scheduledAt: new Date(to).toISOString(), version: post.version }));
    moved = (await send<{ items: Post[] }>('/posts/move', { posts, ...allowing(how) })).items;
  } catch (error) {
    for (const { post } of going) store.showPost(post);
    return refused(going, zone, asApiError(error));
  }
  for (const post of moved) store.putPost(post);
  const sentence = tn(how.undoing ? 'bulk.undone' : 'bulk.moved', moved.length);
  const also = left.length ? ` ${tn('bulk.stay', left.length, { why: left[0] ?? '' })}` : '';
  const undo = () => void movePosts(back.map(({ post, to }) => ({ post: now(post), to })), zone, { undoing: true });
  toasts.show(sentence + also, how.undoing ? {} : { actions: [{ label: t('undo'), undo: true, run: undo }] });
  voice.say(sentence + also);
  return true;
}

/** Nothing moved: what is left can go without the others, or all go although they are close. */
function refused(going: readonly Move[], zone: string, problem: ApiError): false {
  const named = new Set(problem.problems.flatMap((p) => /^posts\[(\d+)\]/.exec(p.field)?.[1] ?? []).map(Number));
  const rest = named.size ? going.filter((_, i) => !named.has(i)) : [];
  const again = (moves: readonly Move[], how: How) => () => void movePosts(moves.map(({ post, to }) => ({ post: now(post), to })), zone, how);
  const actions = [];
  if (rest.length) actions.push({ label: tn('bulk.others', rest.length), run: again(rest, {}) });
  if (problem.clashes) actions.push({ label: t('clash.move'), run: again(going, { anyway: true }) });
  if (problem.code === 'version_conflict') for (const { post } of going) void store.loadPost(post.id);
  toasts.show(problem.message, { tone: 'error', actions });
  voice.say(problem.message);
  return false;
}

/** Why this post cannot go there, as a sentence. */
function stays(post: Brief, to: number, zone: string): string | null {
  const reason = refusal(post);
  if (reason) return t(reason);
  return to <= clock.now && post.state !== 'draft' ? t('move.no.past', { when: dateTime(to, zone) }) : null;
}

/** Something else goes out there then: a free time near it, or all the same. */
function clash(post: Brief, to: number, zone: string, problem: ApiError): false {
  const again = (when: number, how: How) => void movePost(now(post), when, zone, how);
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
