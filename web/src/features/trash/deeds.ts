// Posts out of the trash: as a draft, or, right after they were deleted, as they were.

import { ApiError, asApiError, post as send } from '../../api/client';
import type { Restored } from '../../api/drafts';
import type { Id } from '../../api/types';
import { t } from '../../app/i18n';
import { router } from '../../app/router.svelte';
import { voice } from '../../app/say.svelte';
import { store } from '../../app/store.svelte';
import { toasts } from '../../app/toasts.svelte';

/** Tells what became of it; `false` when it did not come back. */
export async function restore(id: Id): Promise<boolean> {
  return told(() => back(id, false), t('trash.restored'));
}

/** Takes a deletion back. Where it cannot be as it was, it is a draft, and that is said. */
export async function undo(id: Id): Promise<void> {
  try {
    await back(id, true);
    voice.say(t('trash.undone'));
  } catch (error) {
    const { status, message } = asApiError(error);
    if (status !== 409) toasts.error(message);
    else await told(() => back(id, false), `${message} ${t('trash.asDraft')}`);
  }
}

async function back(id: Id, asItWas: boolean): Promise<Restored> {
  const done = await send<Restored>(`/posts/${id}/restore`, { asItWas });
  store.putPost(done.post);
  return done;
}

async function told(work: () => Promise<Restored>, sentence: string): Promise<boolean> {
  try {
    const { post, missing } = await work();
    const gone = missing.length ? ` ${t('trash.missing', { names: missing.join(', ') })}` : '';
    toasts.show(sentence + gone, { actions: [{ label: t('open'), run: () => router.go(`/posts/${post.id}`) }] });
    voice.say(sentence + gone);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toasts.error(error.fix ? `${error.message} ${error.fix}` : error.message);
    return false;
  }
}
