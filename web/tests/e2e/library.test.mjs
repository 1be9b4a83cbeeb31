// The library: searched, narrowed, tagged, put away and taken back, told who uses what, replaced and
// cleaned up; by keyboard too.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { png } from '../mock/png.mjs';
import { connectionOf, nextMonth, until } from './helpers.mjs';
import { MOCK, assertAccessible, assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

describe('the library', { skip: MOCK && 'the mock keeps no library' }, () => {
  let server, browser;
  before(async () => {
    server = await startServer({ env: { CARILLON_MEDIA_QUOTA: '50MB' } });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function upload(name, alt = '', n = 1) {
    const query = new URLSearchParams({ name, alt });
    const answer = await fetch(`${server.url}/api/v1/media?${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/octet-stream' },
      body: png(640, 480, n),
    });
    assert.equal(answer.status, 201, await answer.clone().text());
    const { id } = await answer.json();
    await until(`${name} to be ready`, async () => (await server.api(`/media/${id}`)).state === 'ready');
    return id;
  }
  /** What no post has goes, so that each test stands alone; what the demo's posts have stays. */
  const empty = () => server.api('/media/clean', { method: 'POST', body: JSON.stringify({ unusedForDays: 0 }) });
  async function library(address = '', options = {}) {
    const { page, context, wrong } = await browser.open(options);
    await signIn(page, server);
    await page.goto(`${server.url}/media${address}`);
    await page.getByText('live', { exact: true }).waitFor();
    return { page, context, wrong, tiles: page.locator('.grid').getByRole('article') };
  }
  const names = (tiles) => tiles.evaluateAll((all) => all.map((a) => a.getAttribute('aria-label')));
  const shows = (tiles, ...expected) =>
    until(`the tiles ${expected}`, async () => String(await names(tiles)) === String(expected));

  test('is searched as one types, narrowed by chips, and keeps both in its address', async () => {
    await empty();
    await upload('Wharf at dawn.png', 'Crème brûlée', 1);
    await upload('Wharf gates.png', '', 2);
    const { page, context, wrong, tiles } = await library('?search=wharf');
    await shows(tiles, 'Wharf gates.png', 'Wharf at dawn.png');
    await page.getByRole('searchbox').fill('creme DAW');
    await shows(tiles, 'Wharf at dawn.png');
    assert.match(page.url(), /search=creme/);
    await page.reload();
    await shows(tiles, 'Wharf at dawn.png');
    assert.equal(await page.getByRole('searchbox').inputValue(), 'creme DAW');
    await page.getByRole('searchbox').fill('nothing is called so');
    await page.getByText('Nothing in the library is like that.').waitFor();
    await assertAccessible(page, 'nothing found');
    await shot(page, 'library-nothing');
    await page.getByRole('link', { name: 'Clear filters' }).click();
    await until('everything', async () => (await tiles.count()) > 2);
    await page.getByRole('searchbox').fill('wharf');
    await shows(tiles, 'Wharf gates.png', 'Wharf at dawn.png');
    await page.getByRole('link', { name: 'No description' }).click();
    await shows(tiles, 'Wharf gates.png');
    await page.getByRole('link', { name: 'Videos' }).click();
    await shows(tiles);
    assertQuiet(wrong);
    await context.close();
  });

  test('many are selected by keyboard, tagged, put away, and all of it is taken back', async () => {
    await empty();
    for (const n of [1, 2, 3]) await upload(`tower-${n}.png`, '', n);
    const { page, context, wrong, tiles } = await library('?search=tower');
    await shows(tiles, 'tower-3.png', 'tower-2.png', 'tower-1.png');
    await page.getByRole('checkbox', { name: 'Select tower-3.png' }).focus();
    await page.keyboard.press('Space');
    await page.getByText('1 selected').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('1 selected').waitFor({ state: 'detached' });
    await page.getByRole('checkbox', { name: 'Select tower-3.png' }).click();
    await page.getByRole('checkbox', { name: 'Select tower-2.png' }).click({ modifiers: ['Shift'] });
    const bar = page.getByRole('group', { name: 'Selected files' });
    await bar.getByText('2 selected').waitFor();
    await bar.getByLabel('Tag', { exact: true }).fill('Summer Sale');
    await page.keyboard.press('Enter');
    const chip = page.getByRole('navigation', { name: 'Narrow the library' }).getByRole('link', { name: '#summer-sale 2' });
    await chip.waitFor();
    await shot(page, 'library-selection');
    await assertAccessible(page, 'a selection');
    await bar.getByRole('button', { name: 'Delete', exact: true }).click();
    await shows(tiles, 'tower-1.png');
    await page.getByText('Moved 2 files to the trash').waitFor();
    await page.getByRole('link', { name: 'Trash' }).click();
    await until('them in the trash', async () => String(await names(tiles)).startsWith('tower-3.png,tower-2.png'));
    await page.goBack();
    await shows(tiles, 'tower-1.png');
    await page.keyboard.press('Control+z');
    await shows(tiles, 'tower-3.png', 'tower-2.png', 'tower-1.png');
    await chip.click();
    await shows(tiles, 'tower-3.png', 'tower-2.png');
    assertQuiet(wrong);
    await context.close();
  });

  test('what is deleted is restored from the trash, or goes for good', async () => {
    await empty();
    const [back, gone] = [await upload('back.png', '', 1), await upload('gone.png', '', 2)];
    await server.api('/media/delete', { method: 'POST', body: JSON.stringify({ ids: [back, gone] }) });
    const { page, context, wrong, tiles } = await library('?trash=true&search=ba');
    await shows(tiles, 'back.png');
    await page.getByRole('checkbox', { name: 'Select back.png' }).check();
    await page.getByRole('button', { name: 'Restore' }).click();
    await shows(tiles);
    await page.goto(`${server.url}/media?trash=true&search=gone`);
    await shows(tiles, 'gone.png');
    await page.getByRole('checkbox', { name: 'Select gone.png' }).check();
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await shows(tiles);
    await page.goto(`${server.url}/media?search=back`);
    await shows(tiles, 'back.png');
    assertQuiet(wrong);
    await context.close();
  });

  for (const scheme of ['light', 'dark']) {
    test(`an empty one says what would stand there, ${scheme}`, async () => {
      const { page, context, wrong } = await browser.open({ scheme });
      // What the demo's posts have stays, so the answer is the test's.
      const none = { items: [], next: null, total: 0 };
      await page.route(/\/api\/v1\/media(\?|$)/, (route) => route.fulfill({ json: none }));
      await signIn(page, server);
      await page.goto(`${server.url}/media`);
      await page.getByText('Pictures and videos that you add to posts appear here.').waitFor();
      await assertAccessible(page, 'an empty library');
      await shot(page, `library-empty-${scheme}`);
      await page.goto(`${server.url}/media?trash=true`);
      await page.getByText('The trash is empty.').waitFor();
      assertQuiet(wrong);
      await context.close();
    });
  }

  test('a clean-up is of the days that stand there, whichever answer comes first', async () => {
    await empty();
    await upload('lantern.png', '', 1);
    const { page, context, wrong, tiles } = await library('?search=lantern');
    await shows(tiles, 'lantern.png');
    let first;
    const held = new Promise((resolve) => (first = resolve));
    await page.route('**/api/v1/media/clean', async (route) => {
      const asked = route.request().postDataJSON();
      if (asked.unusedForDays === 90) await held;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Clean up' }).click();
    const clean = page.getByRole('dialog', { name: 'Clean up' });
    const now = clean.getByRole('button', { name: 'Clean up now' });
    await clean.getByLabel('Not used and not touched for so many days').fill('0');
    await clean.getByLabel('Not used and not touched for so many days').blur();
    await clean.getByText('1 file that no post has').waitFor();
    const late = page.waitForResponse((r) => r.request().postDataJSON()?.unusedForDays === 90);
    first();
    await (await late).finished();
    await clean.getByText('1 file that no post has').waitFor();
    await clean.getByLabel('Not used and not touched for so many days').fill('30');
    assert.ok(await now.isDisabled(), 'nothing is known of 30 days yet');
    await clean.getByLabel('Not used and not touched for so many days').fill('0');
    await now.click();
    await shows(tiles);
    assertQuiet(wrong);
    await context.close();
  });

  for (const [scheme, size, viewport] of [
    ['light', 'wide', { width: 1440, height: 900 }],
    ['dark', 'phone', { width: 390, height: 844 }],
    ['dark', 'wide', { width: 1440, height: 900 }],
    ['light', 'phone', { width: 390, height: 844 }],
  ]) {
    test(`a post keeps what it needs; details, another file, clean-up, ${scheme}, ${size}`, async () => {
      await empty();
      const id = await upload('menu.png', 'The menu at the quayside', 1);
      await upload('a rather long name of a picture of the quayside at dawn.png', '', 2);
      const { at } = nextMonth(scheme.length + size.length);
      const { id: connectionId } = await connectionOf(server, 'mastodon');
      const post = await server.api('/posts', {
        method: 'POST',
        body: JSON.stringify({ text: 'Come and eat.', media: [id], scheduledAt: at, timezone: 'Europe/London', allowCollision: true, allowDuplicate: true, deliveries: [{ connectionId }] }),
      });
      await server.api('/media/tags', { method: 'POST', body: JSON.stringify({ ids: [id], add: ['menu', 'autumn'] }) });
      const { page, context, wrong, tiles } = await library('?search=quayside', { ...viewport, scheme });
      await until('both tiles', async () => (await tiles.count()) === 2);
      await page.getByText(/of 50.0 MB stored/).waitFor();
      await assertAccessible(page, 'the library');
      await shot(page, `library-${scheme}-${size}`);
      await page.getByRole('link', { name: 'Unused' }).click();
      await until('the unused one', async () => (await tiles.count()) === 1);
      await page.getByRole('link', { name: 'Unused' }).click();

      await page.getByRole('button', { name: 'Delete menu.png' }).click();
      const refused = page.getByRole('dialog', { name: 'A file is used by posts' });
      await refused.getByRole('link', { name: 'Come and eat.' }).waitFor();
      assert.equal(await refused.getByRole('button', { name: 'Delete it all the same' }).count(), 0);
      await assertAccessible(page, 'what is in use');
      await shot(page, `library-in-use-${scheme}-${size}`);
      await refused.getByRole('button', { name: 'Keep' }).click();

      await page.getByRole('button', { name: 'Details of menu.png' }).click();
      const details = page.getByRole('dialog', { name: 'menu.png' });
      await details.getByRole('link', { name: 'Come and eat.' }).waitFor();
      await details.getByLabel('Tag', { exact: true }).fill('New');
      await page.keyboard.press('Enter');
      await details.getByRole('button', { name: 'Remove the tag new' }).waitFor();
      await details.getByRole('button', { name: 'Remove the tag autumn' }).click();
      await details.getByRole('button', { name: 'Remove the tag autumn' }).waitFor({ state: 'detached' });
      await details.getByLabel('Replace the file').setInputFiles({ name: 'new.png', mimeType: 'image/png', buffer: png(320, 320, 7) });
      await details.getByRole('button', { name: 'Use file 1 again' }).waitFor();
      await until('the new file to be ready', async () => {
        const m = await server.api(`/media/${id}`);
        return m.state === 'ready' && m.version === 2 && m.width === 320;
      });
      await details.locator('img[src$="?v=2"]').waitFor();
      await assertAccessible(page, 'details');
      await shot(page, `library-details-${scheme}-${size}`);
      await details.getByRole('button', { name: 'Use file 1 again' }).click();
      await until('the first file', async () => (await server.api(`/media/${id}`)).version === 1);
      await details.getByRole('button', { name: 'Close' }).click();

      await page.getByRole('button', { name: 'Clean up' }).click();
      const clean = page.getByRole('dialog', { name: 'Clean up' });
      await clean.getByLabel('Not used and not touched for so many days').fill('0');
      await clean.getByLabel('Not used and not touched for so many days').blur();
      await clean.getByText('1 file that no post has').waitFor();
      await assertAccessible(page, 'the clean-up');
      await shot(page, `library-clean-${scheme}-${size}`);
      await clean.getByRole('button', { name: 'Clean up now' }).click();
      await shows(tiles, 'menu.png');
      assertQuiet(wrong);
      await context.close();
      await server.api(`/posts/${post.id}`, { method: 'DELETE' });
    });
  }
});
