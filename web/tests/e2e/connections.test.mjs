// Journeys with connections: adding by hand (also with a wrong token) and through the network's own
// consent page, checking, pausing, deleting; the page of apps.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertQuiet, MOCK, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('a connection is added, checked, paused, resumed and deleted', async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  await page.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: 'Connections' }).click();
  await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor();
  const before = (await server.api('/connections')).items.length;

  await page.getByRole('button', { name: 'Add connection' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add connection' });
  await dialog.getByRole('radio', { name: 'Mastodon' }).check();
  await dialog.getByRole('button', { name: 'Enter the credentials by hand' }).click();
  await dialog.getByLabel('Server', { exact: false }).fill(`${server.sandboxUrl}/mastodon`);
  const token = dialog.getByLabel('Access token', { exact: false });
  await token.fill('wrong');
  await dialog.getByLabel('Name', { exact: true }).fill('Bob at the sandbox');
  await dialog.getByRole('button', { name: 'Connect', exact: true }).click();
  const refusal = dialog.locator('.wrong, [role=alert]').first();
  await refusal.waitFor();
  assert.match(await refusal.innerText(), /\w+ \w+/, 'a sentence says what is wrong');
  await shot(page, 'connection-refused');
  assert.equal((await server.api('/connections')).items.length, before, 'nothing was kept');

  await token.fill('sandbox-bob');
  await dialog.getByRole('button', { name: 'Connect', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  const card = page.getByRole('article', { name: 'Bob at the sandbox' });
  await card.getByText('Active').waitFor();

  await card.getByRole('button', { name: 'Check', exact: true }).click();
  await card.getByText('Ready to publish.').waitFor();
  assert.ok((await card.getByRole('listitem').count()) > 0, 'the check lists what it tried');
  await card.getByText('Posts left').waitFor();
  await card.getByText(/^\d+ of 75 now, 300 in 5 minutes$/).waitFor();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await card.getByRole('button', { name: 'Copy report' }).click();
  await page.getByText('The report is copied.').first().waitFor();
  const report = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(report, /^Bob at the sandbox \(mastodon, [\w-]+\)\n[^\n]+Z\nReady to publish\.\n1\. OK {3}Credentials: /);
  assert.doesNotMatch(report, /sandbox-bob/, 'nothing secret is in it');
  await page.evaluate(() => {
    // As on a page without TLS: there is no clipboard.
    Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true });
  });
  await card.getByRole('button', { name: 'Copy report' }).click();
  const byHand = await card.getByRole('textbox', { name: 'Report' }).inputValue();
  const undated = (text) => text.replace(/\n\S+Z\n/, '\n');
  assert.equal(undated(byHand), undated(report));
  await assertAccessible(page, 'a checked connection');
  await shot(page, 'connection-checked');

  await card.getByRole('button', { name: 'Pause' }).click();
  await card.getByText('Paused').waitFor();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByText('Active').waitFor();

  await card.getByRole('button', { name: 'More for Bob at the sandbox' }).click();
  await card.getByRole('button', { name: 'Edit settings' }).click();
  const edit = page.getByRole('dialog', { name: 'Settings of Bob at the sandbox' });
  await edit.getByLabel('Name', { exact: true }).fill('Bob’s account');
  await edit.getByRole('button', { name: 'Save' }).click();
  await edit.waitFor({ state: 'detached' });
  const renamed = page.getByRole('article', { name: 'Bob’s account' });

  await renamed.getByRole('button', { name: 'More for Bob’s account' }).click();
  await renamed.getByRole('button', { name: 'Delete…' }).click();
  const sure = page.getByRole('dialog', { name: 'Delete Bob’s account?' });
  const button = sure.getByRole('button', { name: 'Delete connection' });
  assert.equal(await button.isDisabled(), true, 'not before its name was typed');
  await sure.getByRole('textbox').fill('Bob’s account');
  await button.click();
  await renamed.waitFor({ state: 'detached' });
  assert.equal((await server.api('/connections')).items.length, before);
  assertQuiet(wrong, [/status of 4(00|22)/]);
});

test('diagnostics show masked tokens to an admin, where they are on, and whole ones never', async () => {
  const off = await browser.open();
  await signIn(off.page, server);
  if (!MOCK) {
    await off.page.goto(`${server.url}/connections`);
    await off.page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor();
    assert.equal(await off.page.getByRole('link', { name: 'Diagnostics' }).count(), 0, 'nobody is led there');
    await off.page.goto(`${server.url}/connections/diagnostics`);
    await off.page.getByText('Connection diagnostics are off').waitFor();
    assertQuiet(off.wrong, [/status of 403/]);
  }
  await off.context.close();

  const other = await startServer({ env: { ENABLE_CONNECTION_DIAGNOSTICS: '1' } });
  try {
    const [wide, phone] = [{ width: 1440, height: 900 }, { width: 390, height: 844 }];
    for (const [name, viewport] of Object.entries({
      'light-wide': wide,
      'light-phone': phone,
      'dark-wide': { ...wide, scheme: 'dark' },
      'dark-phone': { ...phone, scheme: 'dark' },
      narrow: { width: 320, height: 640 },
    })) {
      const { page, context, wrong } = await browser.open(viewport);
      const bodies = [];
      page.on('response', async (r) => r.url().includes('/api/') && !r.url().includes('/events') && bodies.push(await r.text().catch(() => '')));
      await signIn(page, other);
      await page.goto(`${other.url}/connections`);
      await page.getByRole('link', { name: 'Diagnostics' }).click();
      await page.getByRole('heading', { level: 1, name: 'Connection diagnostics' }).waitFor();
      const rows = page.getByRole('table').getByRole('row');
      await rows.nth(1).waitFor();
      assert.equal(await rows.count(), (await other.api('/connections')).items.length + 1);
      const text = await page.getByRole('table').innerText();
      assert.match(text, /•••|\w{4}…\w{4}/, 'a masked token');
      for (const all of [text, await page.content(), ...bodies]) assert.doesNotMatch(all, /sandbox-[a-z]+[-_][a-z]+/, 'no whole token');
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(sideways <= 0, `the page scrolls sideways by ${sideways} px`);
      await assertAccessible(page, 'diagnostics');
      await shot(page, `diagnostics-${name}`);
      assertQuiet(wrong);
      await context.close();
    }
  } finally {
    await other.stop();
  }
});

/** Presses a button of the sandbox's consent page, as this account, and waits to be back. */
async function consents(page, account, button = 'Allow', untick = []) {
  await page.waitForURL((url) => !url.href.startsWith(server.url));
  await page.getByRole('textbox', { name: 'Account' }).fill(account);
  for (const scope of untick) await page.getByRole('checkbox', { name: scope }).uncheck();
  await page.getByRole('button', { name: button }).click();
  await page.waitForURL(`${server.url}/connections**`);
}

async function beginAt(page, network) {
  await page.goto(`${server.url}/connections`);
  await page.getByRole('button', { name: 'Add connection' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add connection' });
  await dialog.getByRole('radio', { name: new RegExp(`${network}$`) }).check();
  await dialog.getByRole('button', { name: `Continue to ${network}` }).click();
}

test('an account is connected through the page of its network, and again', async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  await beginAt(page, 'Mastodon');
  await consents(page, 'carol');
  await page.getByText(/@carol@\S+ connected\./).waitFor();
  const card = page.getByRole('article', { name: /@carol@/ });
  await card.getByText('Active').waitFor();
  await card.getByText('Granted rights').waitFor();
  await card.getByText('read:accounts read:statuses write:media write:statuses').waitFor();
  assert.equal(new URL(page.url()).search, '', 'it is told once');

  await card.getByRole('button', { name: /^More for/ }).click();
  await card.getByRole('button', { name: 'Reconnect' }).click();
  await consents(page, 'dave');
  const dialog = page.getByRole('dialog', { name: 'Connect Mastodon' });
  await dialog.getByText(/These credentials belong to @dave@/).waitFor();
  await assertAccessible(page, 'a refused consent');
  await shot(page, 'consent-refused');
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await consents(page, 'carol');
  await page.getByText(/@carol@\S+ connected\./).waitFor();
  assert.equal(await page.getByRole('article', { name: /@carol@/ }).count(), 1);
  assertQuiet(wrong);
});

test('a no and an unticked right are told, and nothing is connected', async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  const before = (await server.api('/connections')).items.length;
  await beginAt(page, 'Mastodon');
  await consents(page, 'erin', 'Deny');
  const dialog = page.getByRole('dialog', { name: 'Connect Mastodon' });
  await dialog.getByText('somebody said no there').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
  await beginAt(page, 'Mastodon');
  await consents(page, 'erin', 'Allow', ['write:media']);
  await dialog.getByText('write:media').waitFor();
  assert.equal((await server.api('/connections')).items.length, before);
  assertQuiet(wrong);
});

test('of several targets one is chosen', async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  await beginAt(page, 'LinkedIn');
  await consents(page, 'alice');
  const dialog = page.getByRole('dialog', { name: 'Connect LinkedIn' });
  const targets = dialog.getByRole('group', { name: 'What should be posted to?' }).getByRole('radio');
  await targets.first().waitFor();
  assert.ok((await targets.count()) > 1, 'the member and the pages');
  assert.equal(await targets.first().isChecked(), true, 'the first that can be posted to');
  await assertAccessible(page, 'a choice of targets');
  await shot(page, 'consent-choice');
  await dialog.getByRole('button', { name: 'Connect', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  const made = (await server.api('/connections')).items.find((c) => c.network === 'linkedin');
  const card = page.getByRole('article', { name: made.name, exact: true });
  await card.getByText(/^Until .*, in \d+ days/).waitFor();
  await shot(page, 'consent-connected');
  assertQuiet(wrong);
});

test('one banner tells of all posts that wait for connections, and mends them', { skip: MOCK }, async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  const all = (await server.api('/connections')).items;
  const alone = (c) => all.filter((other) => other.name === c.name).length === 1;
  const [one, two] = ['facebook', 'bluesky'].map((network) => all.find((c) => c.network === network && alone(c)));
  const at = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
  const made = [];
  for (const [i, c] of [one, one, two].entries()) {
    const body = { text: `It waits for ${c.name} (${i})`, scheduledAt: at(20 + i), deliveries: [{ connectionId: c.id }], allowCollision: true };
    made.push(await server.api('/posts', { method: 'POST', body: JSON.stringify(body) }));
  }
  await page.goto(`${server.url}/connections`);
  await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor();
  const banner = page.getByRole('status').filter({ hasText: 'waiting for' });
  try {
    for (const c of [one, two]) {
      await server.fault(c.network, 'auth', 50, 'any');
      const card = page.getByRole('article', { name: c.name, exact: true });
      await card.getByRole('button', { name: 'Check', exact: true }).click();
      await card.getByText('It cannot publish at the moment.').waitFor();
      await card.getByText('Needs action').waitFor();
    }
    const waiting = (await server.api('/connections')).items.filter((c) => [one.id, two.id].includes(c.id)).reduce((sum, c) => sum + c.waiting, 0);
    await banner.getByText(`${waiting} posts are waiting for ${one.name} and ${two.name}.`).waitFor();
    assert.equal(await banner.count(), 1, 'one for all');
    await assertAccessible(page, 'connections that need somebody');
    await shot(page, 'connections-waiting');
    await server.clearFaults();
    // Either is mended by itself: the banner goes with the last one.
    for (const c of [one, two]) {
      const card = page.getByRole('article', { name: c.name, exact: true });
      await card.getByRole('button', { name: 'Check', exact: true }).click();
      await card.getByText('Active').waitFor();
    }
    await banner.waitFor({ state: 'detached' });
    for (const post of made) {
      const now = await server.api(`/posts/${post.id}`);
      assert.equal(now.deliveries[0].state, 'queued', 'held, not failed');
    }
  } finally {
    await server.clearFaults();
    for (const post of made) await server.api(`/posts/${post.id}`, { method: 'DELETE' });
  }
  assertQuiet(wrong);
});

test('an app is set and removed', async () => {
  const { page, wrong } = await browser.open();
  await signIn(page, server);
  await page.goto(`${server.url}/apps`);
  await page.getByRole('heading', { level: 1, name: 'Apps' }).waitFor();
  const card = page.getByRole('article', { name: 'X', exact: true });
  await card.getByText('Ready').waitFor();
  await card.getByText('How to make the app').click();
  await card.getByText(`${server.url}/oauth/callback`).waitFor();
  await assertAccessible(page, 'the page of apps');
  await shot(page, 'apps');
  await card.getByLabel('Client id').fill('our-own-app');
  await card.getByLabel('Client secret').fill('its-own-secret');
  await card.getByRole('button', { name: 'Save app' }).click();
  await page.getByText('The X app is saved.').waitFor();
  await card.getByText('our-own-app').waitFor();
  assert.equal((await page.content()).includes('its-own-secret'), false);
  await card.getByRole('button', { name: 'Remove the app our-own-app' }).click();
  await card.getByText('sandbox-app').waitFor();
  assertQuiet(wrong);
});
