// Import and export: a file is tried, imported and taken back, by pointer and by keyboard; feeds, the
// calendar's address; the page looked at in both schemes and widths.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { allPosts, connectionOf, until, words } from './helpers.mjs';
import { assertAccessible, assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong, mastodon;
before(async () => {
  server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
  browser = await startBrowser();
  mastodon = await connectionOf(server, 'mastodon');
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
beforeEach(async () => {
  ({ page, context, wrong } = await browser.open());
  await signIn(page, server);
  await page.goto(`${server.url}/transfer`);
  await page.getByRole('heading', { level: 1, name: 'Import and export' }).waitFor();
});
afterEach(async () => {
  await context.close();
});

const year = new Date().getUTCFullYear() + 1;
const file = (name, rows) => ({
  name,
  mimeType: 'text/csv',
  buffer: Buffer.from(`text,scheduledAt,connections\n${rows.join('\n')}\n`),
});
const row = (text, when) => `${text},${when},${mastodon.id}`;

describe('import and export', () => {
  test('a file is tried, imported and taken back', async () => {
    const name = words('Row');
    const rows = [row(`${name} one`, `${year}-06-01 9:00`), row(`${name} two`, `03/04/${year} 9:00`), row(`${name} three`, `${year}-06-02 9:00`)];
    await page.getByLabel(/^File/).setInputFiles(file(`${name}.csv`, rows));
    await page.getByText('2 rows can be imported. 1 row cannot be imported.').first().waitFor();
    const table = page.getByRole('region', { name: 'Rows of the file' });
    const bad = table.getByRole('row').nth(1);
    assert.match(await bad.innerText(), new RegExp(`^3\\s+Error\\s+${name} two`, 's'));
    assert.match(await bad.getByRole('cell').nth(2).innerText(), /can be 3 April \d+ or 4 March/);
    await page.getByLabel('What their dates say').check();
    await page.getByRole('button', { name: 'Import 2 rows' }).click();
    await page.getByText('2 posts imported.').first().waitFor();
    const made = (await allPosts(server)).filter((p) => p.text.startsWith(name));
    assert.deepEqual(made.map((p) => p.state), ['scheduled', 'scheduled']);
    // The same file again.
    await page.getByLabel(/^File/).setInputFiles(file(`${name}.csv`, rows));
    await page.getByText('2 rows were imported before.').first().waitFor();
    assert.ok(await page.getByRole('button', { name: /^Import 0 rows/ }).isDisabled());
    await page.getByRole('button', { name: `Take back ${name}.csv` }).click();
    await page.getByText('2 posts deleted.').first().waitFor();
    assert.equal((await allPosts(server)).filter((p) => p.text.startsWith(name)).length, 0);
    assertQuiet(wrong);
  });

  test('by keyboard alone, with Ctrl+Z at its end', async () => {
    const name = words('Keys');
    await page.getByLabel(/^File/).setInputFiles(file(`${name}.csv`, [row(`${name} one`, `${year}-06-03 9:00`)]));
    const go = page.getByRole('button', { name: 'Import 1 row' });
    await go.waitFor();
    await page.getByLabel('Drafts', { exact: true }).focus();
    await page.keyboard.press('ArrowDown');
    assert.ok(await page.getByLabel('What their dates say').isChecked());
    await until('the rows to be looked at again', () => go.isEnabled());
    await go.focus();
    // Every page reads a new post; one that is deleted in that moment would be a 404 in the console.
    const read = page.waitForResponse((r) => r.request().method() === 'GET' && /\/posts\/[^/?]+$/.test(r.url()));
    await page.keyboard.press('Enter');
    await page.getByText('1 post imported.').first().waitFor();
    await read;
    await page.locator('body').press('Control+z');
    await page.getByText('1 post deleted.').first().waitFor();
    assertQuiet(wrong);
  });

  test('what is no such file is said, and an export is downloaded', async () => {
    await page.getByLabel(/^File/).setInputFiles({ name: 'a.csv', mimeType: 'text/csv', buffer: Buffer.from('a,b\n1,2\n') });
    await page.getByText('No column is called').waitFor();
    await page.getByLabel('Format').selectOption('json');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()]);
    assert.match(download.suggestedFilename(), /^carillon-posts-\d{4}-\d\d-\d\d\.json$/);
    assertQuiet(wrong, [/status of 422/]);
  });

  test('a feed is added, asked and removed, and removing is taken back', async () => {
    const url = `https://${words('feed').replace(' ', '-')}.invalid/news.xml`;
    await page.getByLabel('Address of the feed').fill('http://127.0.0.1/feed');
    await page.getByRole('button', { name: 'Add a feed' }).click();
    await page.getByText('cannot be fetched').waitFor();
    await page.getByLabel('Address of the feed').fill(url);
    await page.getByRole('button', { name: 'Add a feed' }).click();
    await page.getByText(url).waitFor();
    await page.getByRole('button', { name: /^Ask now feed/ }).click();
    await page.getByText('Failing').waitFor();
    await page.getByRole('button', { name: /^Remove feed/ }).click();
    await page.getByText('is removed; its posts stay.').first().waitFor();
    await page.keyboard.press('Control+z');
    await page.getByText(url).waitFor();
    assertQuiet(wrong, [/status of 422/]);
  });

  test('the calendar has a secret address', async () => {
    const section = page.getByRole('region', { name: 'Calendar in other programs' });
    await section.getByRole('button', { name: 'Make an address' }).click();
    const url = await section.getByLabel('Address', { exact: true }).inputValue();
    const got = await fetch(url);
    assert.equal(got.headers.get('content-type'), 'text/calendar; charset=utf-8');
    assert.match(await got.text(), /^BEGIN:VCALENDAR/);
    await section.getByRole('button', { name: 'Switch off' }).click();
    await section.getByRole('button', { name: 'Make an address' }).waitFor();
    assert.equal((await fetch(url)).status, 404);
    assertQuiet(wrong);
  });

  for (const scheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 }, narrow: { width: 320, height: 700 } })) {
      test(`looks right, ${scheme}, ${size}`, async () => {
        const own = await browser.open({ ...viewport, scheme });
        try {
          await signIn(own.page, server);
          if (size === 'narrow') await own.page.evaluate(() => localStorage.setItem('carillon.language', 'pseudo'));
          await own.page.goto(`${server.url}/transfer`);
          const rows = [row('Good', `${year}-06-01 9:00`), row('Bad', 'someday'), `Nobody,${year}-06-01 9:00,nobody`];
          await own.page.locator('input[type=file]').setInputFiles(file('plan.csv', rows));
          await own.page.locator('tbody tr').nth(2).waitFor();
          await shot(own.page, `transfer-${scheme}-${size}`);
          await own.page.locator('details summary').last().click();
          await assertAccessible(own.page, `import and export ${scheme} ${size}`);
          const wide = await own.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `nothing sticks out sideways: ${wide}`);
          await shot(own.page, `feeds-${scheme}-${size}`);
          assertQuiet(own.wrong);
        } finally {
          await own.context.close();
        }
      });
    }
  }
});
