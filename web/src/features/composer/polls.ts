// The same poll at several connections.

import type { Connection } from '../../api/types';
import { isOfPoll, isPoll } from './draft';
import type { Work } from './work.svelte';

/** Others chosen that take polls and do not have this one. */
export function withoutPollOf(work: Work, connection: Connection): Connection[] {
  const poll = work.draft.options[connection.id]?.poll;
  if (!poll?.trim()) return [];
  return work.chosen.filter((c) => work.placement(c)?.options.some(isPoll) && work.draft.options[c.id]?.poll !== poll);
}

/** Gives them the same poll, as far as their placements have what it was told. */
export function sharePoll(work: Work, connection: Connection): void {
  const own = work.draft.options[connection.id] ?? {};
  const options = { ...work.draft.options };
  for (const c of withoutPollOf(work, connection)) {
    const taken = (work.placement(c)?.options ?? []).filter(({ key, kind }) => {
      const answer = isOfPoll(key) ? own[key] : undefined;
      return answer && (kind.type !== 'oneOf' || kind.picks.some((pick) => pick.value === answer));
    });
    options[c.id] = { ...options[c.id], ...Object.fromEntries(taken.map(({ key }) => [key, own[key]!])) };
  }
  work.draft.options = options;
}
