// Before and after a post is one: the trash, what it said before, what is written with, who else is
// writing, what was typed and not saved, and the pack to post it by hand.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { chipOf, choose, connectionOf, deadLetter, nextMonth, openComposer, QUICK, schedule, until, visible, words } from './helpers.mjs';
import { assertAccessible, assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong;
before(async () => {
  server = await startServer({ env: { ...QUICK, CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
beforeEach(async () => {
  ({ page, context, wrong } = await browser.open());
  await signIn(page, server);
});
afterEach(async () => context.close());

const panel = () => page.getByRole('dialog');
const open = async (id) => {
  await page.goto(`${server.url}/posts/${id}`);
  await panel().getByText('Where it goes').waitFor();
};
const edit = (post, change) => server.api(`/posts/${post.id}`, { method: 'PATCH', body: JSON.stringify({ version: post.version, ...change }) });
const text = (dialog) => dialog.getByRole('textbox', { name: 'Text', exact: true });
const there = (id) => server.api(`/posts/${id}`);

describe('the trash', () => {
  test('what is deleted comes back as it was by the keyboard, and goes out once', async () => {
    const says = words('Taken back');
    const post = await schedule(server, says, nextMonth().at);
    await page.goto(`${server.url}/planner?month=${nextMonth().month}`);
    await (await chipOf(page, says)).click();
    await panel().getByRole('button', { name: 'Cancel post' }).click();
    await panel().getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('Post deleted.').waitFor();
    await page.keyboard.press('Control+z');
    await until('it to be back', () => there(post.id).then(() => true, () => false));
    await chipOf(page, says);
    assertQuiet(wrong.filter((line) => !/404/.test(line)));
  });

  test('a draft that is deleted is restored from the trash, or goes for good', async () => {
    const [one, two] = [words('Wanted again'), words('Not wanted')];
    for (const says of [one, two]) {
      const post = await schedule(server, says, nextMonth().at);
      await server.api(`/posts/${post.id}`, { method: 'DELETE' });
    }
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('trash');
    await page.getByRole('option', { name: 'Trash', selected: true }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Trash', level: 1 }).waitFor();
    const item = (says) => page.getByRole('list', { name: 'Trash' }).getByRole('listitem').filter({ hasText: says });
    await item(one).waitFor();
    await assertAccessible(page, 'the trash');
    await item(one).getByRole('button', { name: /^Restore/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Restored as a draft.').first().waitFor();
    await until('it to leave the list', async () => (await item(one).count()) === 0);
    await until('the focus to go to the next', () => page.evaluate(() => document.activeElement?.matches('[data-restore]')));
    await item(two).getByRole('button', { name: /^Delete for good/ }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete for good?' });
    await assertAccessible(page, 'the question before the end');
    await dialog.getByRole('button', { name: 'Delete for good' }).click();
    // Not what its entry says of when it goes by itself.
    await page.getByText('Gone for good: “').first().waitFor();
    await until('it to leave the list', async () => (await item(two).count()) === 0);
    const { items } = await server.api('/posts?search=' + encodeURIComponent(one));
    assert.deepEqual([items.length, items[0].state], [1, 'draft']);
    assertQuiet(wrong);
  });

  for (const scheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } })) {
      test(`empty or not, ${scheme}, ${size}`, async () => {
        const own = await browser.open({ ...viewport, scheme });
        try {
          await signIn(own.page, server);
          await own.page.goto(`${server.url}/trash`);
          await own.page.getByRole('heading', { name: 'Trash', level: 1 }).waitFor();
          await own.page.getByText(/Nothing was deleted|Gone for good on/).first().waitFor();
          await shot(own.page, `trash-${scheme}-${size}`);
          await assertAccessible(own.page, `the trash, ${scheme}, ${size}`);
          assert.ok(await own.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing stands out');
          assertQuiet(own.wrong);
        } finally {
          await own.context.close();
        }
      });
    }
  }
});

test('a post says again what it said before, and the step is taken back', async () => {
  const says = words('Doors open at seven');
  const post = await schedule(server, says, nextMonth().at);
  await edit(post, { text: `${says} or eight` });
  await open(post.id);
  await panel().getByRole('button', { name: 'Versions' }).click();
  const dialog = page.getByRole('dialog', { name: 'Versions' });
  await dialog.locator('del').getByText('eight').waitFor();
  await shot(page, 'versions');
  await assertAccessible(page, 'versions');
  await dialog.getByRole('button', { name: 'Restore this version' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await there(post.id)).text, says);
  await panel().getByText(/It says again what it said/).waitFor();
  await panel().getByRole('button', { name: 'Undo' }).click();
  await until('the step to be taken back', async () => (await there(post.id)).text.endsWith('or eight'));
  assertQuiet(wrong);
});

describe('what is written with', () => {
  test('templates, hashtags and links that are counted', async () => {
    const dialog = await openComposer(page);
    const [bluesky, mastodon] = [await connectionOf(server, 'bluesky'), await connectionOf(server, 'mastodon')];
    await choose(dialog, bluesky, mastodon);
    const pick = async (menu, item) => {
      await dialog.getByRole('button', { name: menu, exact: true }).click();
      await dialog.getByRole('button', { name: item, exact: true }).click();
    };
    await text(dialog).fill('{band} plays on {day}. https://example.com/tickets');
    await pick('Templates', 'Add or change…');
    let kept = page.getByRole('dialog', { name: 'Templates' });
    await kept.getByLabel('Name').fill('Gig');
    await shot(page, 'snippets');
    await assertAccessible(page, 'templates');
    await kept.getByRole('button', { name: 'Save' }).click();
    await kept.getByRole('button', { name: 'Edit Gig' }).waitFor();
    await kept.getByRole('button', { name: 'Close' }).last().click();
    await pick('Hashtags', 'Add or change…');
    kept = page.getByRole('dialog', { name: 'Sets of hashtags' });
    await kept.getByLabel('Name').fill('Music');
    await kept.getByRole('textbox', { name: 'Hashtags' }).fill('livemusic #camden');
    await kept.getByRole('button', { name: 'Save' }).click();
    await kept.getByText('#livemusic #camden').waitFor();
    await kept.getByRole('button', { name: 'Close' }).last().click();
    await pick('Tag links', 'Add or change…');
    kept = page.getByRole('dialog', { name: 'UTM presets' });
    await kept.getByLabel('Name').fill('Social');
    await assertAccessible(page, 'UTM presets');
    await kept.getByRole('button', { name: 'Save' }).click();
    await kept.getByRole('button', { name: 'Close' }).last().click();

    await text(dialog).fill('');
    await pick('Templates', 'Gig');
    await until('the first words to fill in to be chosen', () => text(dialog).evaluate((e) => e.value.slice(e.selectionStart, e.selectionEnd) === '{band}'));
    await page.keyboard.type('Nobody');
    assert.equal(await text(dialog).inputValue(), 'Nobody plays on {day}. https://example.com/tickets');
    await text(dialog).press('End');
    await pick('Hashtags', 'Music');
    assert.ok((await text(dialog).inputValue()).endsWith('/tickets #livemusic #camden'));
    await pick('Tag links', 'Social');
    await page.getByText('2 links are counted to this post.').first().waitFor();
    await dialog.getByRole('tab', { name: bluesky.label }).click();
    const own = () => dialog.getByRole('textbox', { name: /^Text for/ }).inputValue();
    assert.match(await own(), /tickets\?utm_source=bluesky&utm_medium=social #/);
    await pick('Tag links', 'Social');
    await page.getByText('0 links are counted to this post.').first().waitFor();
    await shot(page, 'composer-tagged');
    await assertAccessible(page, 'a composer with tagged links');
    assertQuiet(wrong);
  });
});

describe('what was typed', () => {
  test('is offered beside what somebody saved meanwhile, and neither is lost', async () => {
    const says = words('First');
    const post = await schedule(server, says, nextMonth().at);
    await open(post.id);
    await panel().getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit post' });
    await text(dialog).fill(`${says}, ours`);
    await edit(post, { text: `${says}, theirs` });
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.getByText('changed somewhere else').waitFor();
    await dialog.getByText('Compare').click();
    await dialog.locator('ins').getByText('theirs').waitFor();
    await shot(page, 'composer-conflict');
    await assertAccessible(page, 'two texts of one post');
    await dialog.getByRole('button', { name: 'Load the other version' }).click();
    await until('the other text to be there', async () => (await text(dialog).inputValue()) === `${says}, theirs`);
    await dialog.getByRole('button', { name: 'Use that text' }).click();
    assert.equal(await text(dialog).inputValue(), `${says}, ours`);
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const { items } = await server.api(`/posts/${post.id}/versions`);
    assert.deepEqual(items.map((v) => v.text), [`${says}, ours`, `${says}, theirs`, says]);
    assertQuiet(wrong, [/409/]);
  });

  test('survives the end of its tab, also when the post was changed since', async () => {
    const says = words('Begun');
    const post = await schedule(server, says, nextMonth().at);
    await open(post.id);
    await panel().getByRole('button', { name: 'Edit' }).click();
    await text(page.getByRole('dialog', { name: 'Edit post' })).fill(`${says}, half written`);
    await page.close();
    await edit(post, { text: `${says}, theirs` });
    page = await context.newPage();
    await open(post.id);
    await panel().getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit post' });
    await dialog.getByText('was not saved').waitFor();
    await until('the other text to be there', async () => (await text(dialog).inputValue()) === `${says}, theirs`);
    await dialog.getByRole('button', { name: 'Use that text' }).click();
    assert.equal(await text(dialog).inputValue(), `${says}, half written`);
    await dialog.getByRole('button', { name: 'Close' }).click();
    assertQuiet(wrong);
  });

  test('a browser that keeps nothing says so', async () => {
    const dialog = await openComposer(page);
    await page.evaluate(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    });
    await text(dialog).fill('Half a thought');
    await dialog.getByText('This browser keeps nothing more').waitFor();
    await assertAccessible(page, 'a browser that keeps nothing');
    assertQuiet(wrong);
  });
});

test('who else has a post open is told, live, and nobody is kept out', async () => {
  const says = words('Two at it');
  const post = await schedule(server, says, nextMonth().at);
  await open(post.id);
  await panel().getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit post' });
  await text(dialog).waitFor();
  // The demo's key is somebody else.
  await server.api(`/posts/${post.id}/lock`, { method: 'POST', body: '{}' });
  await dialog.getByText(/is editing this \(since/).waitFor();
  await shot(page, 'composer-lock');
  await assertAccessible(page, 'a composer that somebody else has open');
  await server.api(`/posts/${post.id}/lock`, { method: 'DELETE' });
  await dialog.getByText(/is editing this/).waitFor({ state: 'detached' });
  await server.api(`/posts/${post.id}/lock`, { method: 'POST', body: '{}' });
  await dialog.getByRole('button', { name: 'Edit anyway' }).click();
  await text(dialog).fill(`${says}, both`);
  await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  // It is gone from the page at once, and tells the server behind its back.
  await until('closing to let go', async () => (await server.api(`/posts/${post.id}/lock`)).others.length === 0);
  assertQuiet(wrong);
});

test('what could not be sent is posted by hand with its pack', async () => {
  const says = words('By hand');
  const dead = await deadLetter(server, says);
  await open(dead.postId);
  const [download] = await Promise.all([page.waitForEvent('download'), panel().getByRole('link', { name: 'Publish pack' }).click()]);
  assert.match(download.suggestedFilename(), /^mastodon-.*\.zip$/);
  const script = 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(z.read("text.txt").decode())';
  assert.equal(execFileSync('python3', ['-c', script, await download.path()], { encoding: 'utf8' }).trim(), says);
  await panel().getByRole('button', { name: 'Mark as posted…' }).click();
  assert.deepEqual(await visible(server, 'mastodon', says), []);
  assertQuiet(wrong);
});
