// What differs between two versions of a post, by its parts.

import type { Version, VersionDelivery } from '../../api/drafts';
import { t } from '../../app/i18n';

export interface Change {
  /** What part it is. */
  name: string;
  before: string;
  after: string;
}

/** The parts in which they differ; what a place has of its own is compared where both have the place. */
export function fieldsOf(now: Version, then: Version): Change[] {
  const changes: Change[] = [
    { name: t('composer.text'), before: now.text, after: then.text },
    { name: t('composer.title'), before: now.title ?? '', after: then.title ?? '' },
    { name: t('composer.thread'), before: joined(now.thread), after: joined(then.thread) },
  ];
  for (const old of then.deliveries) {
    const place = now.deliveries.find((d) => d.connectionId === old.connectionId && d.placement === old.placement);
    if (place) changes.push({ name: old.connectionName, before: ownOf(place), after: ownOf(old) });
  }
  return changes.filter((change) => change.before !== change.after);
}

const joined = (parts: { text: string }[]) => parts.map((part) => part.text).join('\n\n');

/** All that a place has of its own, as one text. */
function ownOf(place: VersionDelivery): string {
  const { text, thread, firstComment, options } = place;
  const parts = Array.isArray(thread) ? joined(thread) : thread === 'first' ? t('composer.thread.ownNone') : '';
  return [text, parts, firstComment, ...Object.values(options)].filter(Boolean).join('\n\n');
}
