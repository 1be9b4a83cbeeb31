// Journeys with connections: adding (also with a wrong token), checking, pausing, deleting.

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
  await dialog.getByRole('button', { name: "Enter the credentials by hand" }).click();
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

  await card.getByRole('button', { name: 'Check' }).click();
  await card.getByText('Ready to publish.').waitFor();
  assert.ok((await card.getByRole('listitem').count()) > 0, 'the check lists what it tried');
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
    for (const viewport of [{ width: 1440, height: 900 }, { width: 320, height: 640 }]) {
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
      await shot(page, `diagnostics-${viewport.width}`);
      assertQuiet(wrong);
      await context.close();
    }
  } finally {
    await other.stop();
  }
});
