// What a pause covers and who made it, in words.

import type { Pause } from '../api/desk';
import { t, word } from './i18n';
import { store } from './store.svelte';

/** `all`, `network:mastodon`, `queue:send` as a person calls them. */
export function scopeName(scope: string): string {
  const [kind = '', id = ''] = split(scope);
  if (kind === 'network') return store.networkName(id);
  if (kind === 'queue') return word('queue.pool', id);
  return t('pause.everything');
}

/** `mastodon:floss.social` as a person calls it: the network, and the server where there are many. */
export function circuitName(name: string): string {
  const [network = '', server] = split(name);
  return server ? `${store.networkName(network)}, ${server}` : store.networkName(network);
}

/** "Everything is paused by you: the price list is wrong." */
export function pauseSentence(pause: Pause): string {
  const what = t('pause.is', { what: scopeName(pause.scope) });
  const by = actorWord(pause.actor);
  const why = pause.why ? `: ${pause.why.replace(/[.\s]+$/, '')}` : '';
  return `${what}${by ? ` ${t('pause.by', { who: by })}` : ''}${why}.`;
}

function actorWord(actor: string): string {
  if (actor === `account:${store.session?.account.id}`) return t('actor.you');
  if (actor === 'operator') return t('actor.operator');
  return actor.startsWith('key:') ? t('actor.program') : '';
}

function split(scope: string): string[] {
  const at = scope.indexOf(':');
  return at < 0 ? [scope] : [scope.slice(0, at), scope.slice(at + 1)];
}
