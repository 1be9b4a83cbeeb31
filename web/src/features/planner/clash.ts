// What stands too close to a post, in a sentence.

import type { Brief } from '../../api/types';
import { t } from '../../app/i18n';
import { store } from '../../app/store.svelte';
import { titleOf } from './states';

export function clashSentence(post: Brief): string {
  const said = (post.clashes ?? []).map(({ code, connectionId, postId }) => {
    const other = store.chips.get(postId);
    const name = store.connections.find((c) => c.id === connectionId)?.name ?? '';
    const title = other ? titleOf(other, 40) : '';
    return t(code === 'duplicate' ? 'clash.duplicate' : 'clash.collision', { title, name });
  });
  return said.join(' ');
}
