// Journeys with connections: adding (also with a wrong token), checking, pausing, deleting.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

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
