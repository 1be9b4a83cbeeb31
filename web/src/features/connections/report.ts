// What a check found, as a text to hand on: to whoever runs the installation, or the network's help.

import type { CheckResult } from '../../api/types';
import { t, word } from '../../app/i18n';

/** Nothing of it is secret: the server searches what networks say for the account's secrets. */
export function report({ connection, checks, ok }: CheckResult, at: Date): string {
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
    t(ok ? 'connection.checkOk' : 'connection.checkBad'),
    ...lines,
    ...facts.flatMap(([name, value]) => (value ? [`${name}: ${value}`] : [])),
    '',
  ].join('\n');
}
