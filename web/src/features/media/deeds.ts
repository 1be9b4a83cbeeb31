// What is done to many media at once, and taken back.

import { asApiError, post } from '../../api/client';
import type { Deleted, MediaUse } from '../../api/types';
import { t, tn } from '../../app/i18n';
import { toasts } from '../../app/toasts.svelte';

/** A refusal is told; `true` when it went well. */
export async function told(deed: () => Promise<unknown>): Promise<boolean> {
  try {
    await deed();
    return true;
  } catch (error) {
    const { message, fix, problems } = asApiError(error);
    toasts.error(problems[0]?.message ?? (fix ? `${message} ${fix}` : message));
    return false;
  }
}

/** Puts media into the trash; those that stayed, with the posts that have them. */
export async function putAway(ids: string[], force: boolean, changed: () => void): Promise<Deleted['kept']> {
  let kept: Deleted['kept'] = [];
  await told(async () => {
    const done = await post<Deleted>('/media/delete', { ids, force });
    kept = done.kept;
    const { deleted } = done;
    if (!deleted.length) return;
    changed();
    const back = () => void told(() => post('/media/restore', { ids: deleted })).then(changed);
    toasts.show(tn('media.deleted', deleted.length), { actions: [{ label: t('undo'), run: back, undo: true }] });
  });
  return kept;
}

/** Tags media, or takes a tag from them. */
export async function tag(ids: string[], add: string[], remove: string[], changed: () => void): Promise<boolean> {
  return told(async () => {
    await post('/media/tags', { ids, add, remove });
    changed();
    const back = () => void told(() => post('/media/tags', { ids, add: remove, remove: add })).then(changed);
    toasts.show(tn(add.length ? 'media.tagged' : 'media.untagged', ids.length), {
      actions: [{ label: t('undo'), run: back, undo: true }],
    });
  });
}

export const needed = (uses: MediaUse[]): boolean => uses.some((u) => u.needs);
