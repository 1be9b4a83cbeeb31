import { afterEach, expect, test, vi } from 'vitest';
import type { Connection } from '../../src/api/types';
import { parse } from '../../src/app/router.svelte';
import { store } from '../../src/app/store.svelte';
import { goToPage } from '../../src/features/connections/page';
import { stuckOf } from '../../src/features/connections/stuck';
import { tokenWords } from '../../src/features/connections/token';

const NOW = Date.parse('2026-11-22T09:00:00Z');
const days = (n: number) => new Date(NOW + n * 86_400_000).toISOString();
const none = { expiresAt: null, renewsAt: null, renewedAt: null, endsAt: null, problem: null, scopes: null };
const connection = (token: Partial<Connection['token']>, more: Partial<Connection> = {}): Connection => ({
  id: 'c', network: 'linkedin', name: 'Anchor', remoteId: '1', state: 'active', problem: null, settings: {}, waiting: 0, budgets: [], refusedUntil: null,
  lastPublishedAt: null, checkedAt: null, createdAt: days(-9), token: { ...none, ...token }, ...more,
});
const said = (token: Partial<Connection['token']>) => tokenWords(connection(token), NOW, 'UTC');

afterEach(() => vi.unstubAllGlobals());

test('what a person has to do is said first, and nothing where nothing ends', () => {
  expect(said({})).toBeNull();
  expect(said({ expiresAt: days(0.04), renewsAt: days(0.03) })).toMatchObject({ near: false });
  expect(said({ expiresAt: days(0.04), renewsAt: days(0.03) })?.text).toContain('Renewed by itself');
  expect(said({ expiresAt: days(40), endsAt: days(40) })).toMatchObject({ near: false });
  const soon = said({ expiresAt: days(6), endsAt: days(6), renewsAt: days(2) });
  expect(soon?.near).toBe(true);
  expect(soon?.text).toContain('in 6 days');
  expect(said({ endsAt: days(-1) })?.text).toContain('Ended yesterday');
});

test('why it cannot be renewed is said with its end', () => {
  const problem = { class: 'auth', sentence: 'LinkedIn no longer accepts this consent.', action: 'reconnect', code: null };
  const words = said({ endsAt: days(40), problem });
  expect(words).toMatchObject({ near: true });
  expect(words?.text).toContain('LinkedIn no longer accepts this consent.');
  expect(said({ problem })?.near).toBe(true);
});

test('what waits for several connections is one sentence', () => {
  const broken = (name: string, waiting: number) => connection({}, { id: name, name, waiting, state: 'needs_action' });
  expect(stuckOf([connection({}, { waiting: 5 }), broken('Empty', 0)])).toBeNull();
  const stuck = stuckOf([broken('Anchor', 2), broken('Bakery', 1)]);
  expect(stuck).toMatchObject({ posts: 3, names: 'Anchor and Bakery' });
  expect(stuck?.connections.map((c) => c.name)).toEqual(['Anchor', 'Bakery']);
});

test('the browser goes to the page that the server names', async () => {
  const answer = { id: 'k', url: 'https://network.example/consent?state=s' };
  const asked = vi.fn(async () => new Response(JSON.stringify(answer), { status: 201 }));
  vi.stubGlobal('fetch', asked);
  const went: string[] = [];
  await goToPage({ network: 'linkedin', reconnect: 'c' }, (url) => went.push(url));
  expect(went).toEqual([answer.url]);
  const [path, init] = asked.mock.calls[0] as unknown as [string, RequestInit];
  expect(path).toBe('/api/v1/connections/consent');
  expect(JSON.parse(String(init.body))).toEqual({ network: 'linkedin', reconnect: 'c' });
});

test('a consent that led back is in the address, and what can be used is known', () => {
  expect(parse(new URL('https://c.example/connections?consent=k#'))).toEqual({ page: 'connections', consent: 'k' });
  expect(parse(new URL('https://c.example/connections'))).toEqual({ page: 'connections', consent: null });
  expect(parse(new URL('https://c.example/apps'))).toEqual({ page: 'apps' });
  store.start({ consents: ['linkedin'] });
  expect(store.hasConsent('linkedin')).toBe(true);
  expect(store.hasConsent('telegram')).toBe(false);
});
