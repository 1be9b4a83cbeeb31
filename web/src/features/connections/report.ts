// What a check found, as a text to hand on: to whoever runs the installation, or the network's help.

import type { CheckResult } from '../../api/types';
import { t, word, type Key } from '../../app/i18n';

/** What a check comes to. A clock that is off stops no post by itself. */
export function verdict({ ok, checks }: CheckResult): Key {
  if (ok) return 'connection.checkOk';
  return checks.some((c) => !c.ok && c.name !== 'clock') ? 'connection.checkBad' : 'connection.checkWarn';
}

/** Nothing of it is secret: the server searches what networks say for the account's secrets. */
export function report(result: CheckResult, at: Date): string {
  const { connection, checks } = result;
  const head = `${connection.name} (${connection.network}, ${connection.id})`;
  const lines = checks.flatMap((check, i) => [
    `${i + 1}. ${check.ok ? 'OK  ' : 'FAIL'} ${word('check.name', check.name)}: ${check.detail}`,
    ...(check.action && !check.ok ? [`   → ${word('action', check.action)}`] : []),
  ]);
  const scopes = connection.token.scopes;
  const facts: [string, string | null | undefined][] = [
    [t('connection.last'), connection.lastPublishedAt],
    [t('connection.account'), connection.remoteId],
    [t('connection.scopes'), scopes?.join(' ')],
  ];
  return [
    head,
    at.toISOString(),
    t(verdict(result)),
    ...lines,
    ...facts.flatMap(([name, value]) => (value ? [`${name}: ${value}`] : [])),
    '',
  ].join('\n');
}
