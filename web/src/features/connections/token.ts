// How long a connection's token lasts, in words: what a person has to do comes first.

import type { Connection } from '../../api/types';
import { t } from '../../app/i18n';
import { ago, dateTime } from '../../time/format';
import { browserZone } from '../../time/zone';

export interface TokenWords {
  text: string;
  /** Within a fortnight a person has to act. */
  near: boolean;
}

const FORTNIGHT = 14 * 86_400_000;

/** Null where nothing ends, or nobody knows. */
export function tokenWords(connection: Connection, now: number, zone = browserZone()): TokenWords | null {
  const { expiresAt, renewsAt, endsAt, problem } = connection.token;
  const words = (iso: string) => ({ date: dateTime(Date.parse(iso), zone), when: ago(Date.parse(iso), now) });
  if (endsAt) {
    const left = Date.parse(endsAt) - now;
    const near = left <= FORTNIGHT;
    if (left <= 0) return { text: t('token.ended', words(endsAt)), near };
    if (problem) return { text: t('token.failed', { ...words(endsAt), why: problem.sentence }), near: true };
    return { text: t('token.ends', words(endsAt)), near };
  }
  if (problem) return { text: t('token.broken', { why: problem.sentence }), near: true };
  if (renewsAt) return { text: t('token.renews', words(renewsAt)), near: false };
  if (expiresAt) return { text: t('token.until', words(expiresAt)), near: false };
  return null;
}
