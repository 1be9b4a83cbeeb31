// The live feed over a killed and restarted server, and signing out.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chipOf, nextMonth, schedule, words } from './helpers.mjs';
import { assertQuiet, signIn, startBrowser, startServer } from './support.mjs';

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('a killed server comes back: “live” returns and news arrives without a reload', async () => {
  const { page, context, wrong } = await browser.open();
  await signIn(page, server);
  const { at, month } = nextMonth();
  await page.goto(`${server.url}/planner?month=${month}`);
  await page.getByText('live', { exact: true }).waitFor();
  await page.evaluate(() => (window.stillHere = true));

  await server.kill();
  await page.getByText('reconnecting', { exact: true }).waitFor();
  await server.start();
  await page.getByText('live', { exact: true }).waitFor({ timeout: 30_000 });
  const text = words('After the restart');
  await schedule(server, text, at);
  await chipOf(page, text, 'Scheduled');
  assert.equal(await page.evaluate(() => window.stillHere), true, 'without a reload');
  assertQuiet(wrong, [/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED/]);
  await context.close();
});

test('what others do appears at once', async () => {
  const { page, context, wrong } = await browser.open();
  await signIn(page, server);
  const { at, month } = nextMonth(1);
  await page.goto(`${server.url}/planner?month=${month}`);
  await page.getByText('live', { exact: true }).waitFor();
  const text = words('From elsewhere');
  const post = await schedule(server, text, at);
  await chipOf(page, text, 'Scheduled');
  await server.api(`/posts/${post.id}/cancel`, { method: 'POST' });
  await page.getByRole('link', { name: new RegExp(`Cancelled.*${text}`, 's') }).waitFor();
  assertQuiet(wrong);
  await context.close();
});

test('the appearance is chosen and stays; signing out ends the session', async () => {
  const { page, context, wrong } = await browser.open();
  await signIn(page, server);
  await page.getByRole('button', { name: 'Account and settings' }).click();
  await page.getByRole('radio', { name: 'Dark' }).check();
  await page.reload();
  await page.getByText('live', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark');
  await page.getByRole('button', { name: 'Account and settings' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(/\/login/);
  await page.goto(`${server.url}/planner`);
  assert.match(page.url(), /\/login/, 'the planner asks to sign in');
  assertQuiet(wrong, [/status of 401/]);
  await context.close();
});
