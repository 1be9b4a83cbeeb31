// A poll in the composer: answers one a line with what is left of each, the same at another network
// in one click, what a network would refuse said before, and the poll that followers see.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { allPosts, choose, connectionOf, openComposer, until, words } from './helpers.mjs';
import { assertAccessible, assertQuiet, MOCK, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong;
before(async () => {
  server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
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
afterEach(async () => {
  await context.close();
});

const field = (dialog, name) => dialog.getByRole('textbox', { name, exact: true });
const POLL = 'Poll (optional)';

/** The composer with this text, on the tab of a network that takes polls. */
async function asking(page, text) {
  const [mastodon, telegram] = [await connectionOf(server, 'mastodon'), await connectionOf(server, 'telegram')];
  const dialog = await openComposer(page);
  await choose(dialog, mastodon, telegram);
  await field(dialog, 'Text').fill(text);
  await dialog.getByRole('tab', { name: mastodon.label }).click();
  return { dialog, mastodon, telegram };
}

test('a poll is written once, and asked at two networks', async () => {
  const text = words('Which loaf on Sunday?');
  const { dialog, mastodon, telegram } = await asking(page, text);
  assert.equal(await dialog.getByLabel('Poll: open for').count(), 0, 'nothing is asked of a poll that is none');
  await field(dialog, POLL).fill('Rye\nOats\n\nSunflower');
  await dialog.getByText('3 of at most 4').waitFor();
  await dialog.getByText('Sunflower 41').waitFor();
  await dialog.getByLabel('Poll: open for').selectOption('3d');
  await dialog.getByLabel('Poll: several answers').selectOption('true');
  await dialog.getByRole('button', { name: `Ask the same at ${telegram.name}` }).click();
  await dialog.getByRole('tab', { name: telegram.label }).click();
  assert.equal(await field(dialog, POLL).inputValue(), 'Rye\nOats\n\nSunflower');
  assert.equal(await dialog.getByLabel('Poll: several answers').inputValue(), 'true');
  assert.equal(await dialog.getByRole('button', { name: /^Ask the same/ }).count(), 0);
  // There the text is the question.
  await dialog.getByText('left of 300').first().waitFor({ state: 'attached' });
  if (!MOCK) {
    await dialog.getByText('Nothing in the way.').nth(1).waitFor();
    await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
    await dialog.getByRole('button', { name: 'Publish now', exact: true }).click();
    for (const { network } of [mastodon, telegram]) {
      const post = await until(`the poll at ${network}`, async () => (await server.ledger(network)).find((p) => p.text === text));
      assert.deepEqual([post.poll.answers, post.poll.several], [['Rye', 'Oats', 'Sunflower'], true]);
    }
    // Its page says what was asked.
    const { id } = (await allPosts(server)).find((p) => p.text === text);
    await page.goto(`${server.url}/posts/${id}`);
    await page.getByText('3 days', { exact: true }).waitFor();
    assert.equal(await page.getByRole('definition').filter({ hasText: 'Sunflower' }).count(), 2);
    await assertAccessible(page, 'a post with a poll');
    await shot(page, 'poll-panel');
  }
  assertQuiet(wrong);
});

test('what is too much is shown while typing, and an emptied poll leaves nothing behind', async () => {
  const { dialog } = await asking(page, words('Which?'));
  await field(dialog, POLL).fill(`Rye\n${'o'.repeat(53)}`);
  await dialog.getByText('−3', { exact: true }).waitFor();
  if (!MOCK) await dialog.getByText('at most 50 characters an answer').first().waitFor();
  await field(dialog, POLL).fill('1\n2\n3\n4\n5');
  await dialog.getByText('5 of at most 4').waitFor();
  await dialog.getByLabel('Poll: open for').selectOption('7d');
  await field(dialog, POLL).fill('');
  await dialog.getByLabel('Poll: open for').waitFor({ state: 'detached' });
  await field(dialog, POLL).fill('Rye\nOats');
  assert.equal(await dialog.getByLabel('Poll: open for').inputValue(), '');
  assertQuiet(wrong);
});

for (const scheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 1100 }, phone: { width: 390, height: 844 } })) {
    test(`looks right: ${scheme}, ${size}`, async () => {
      const own = await browser.open({ ...viewport, scheme });
      await signIn(own.page, server);
      const { dialog } = await asking(own.page, 'Which loaf do you want on Sunday?');
      await field(dialog, POLL).fill('Rye, dark and a little sour\nOats\nSunflower seeds and honey from the roof of the bakery');
      await dialog.getByLabel('Poll: open for').selectOption('3d');
      await assertAccessible(own.page, `composer with a poll, ${scheme}, ${size}`);
      const over = await own.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${over} px too wide`);
      await field(dialog, POLL).scrollIntoViewIfNeeded();
      await shot(own.page, `poll-${scheme}-${size}`);
      await dialog.getByRole('region', { name: /^Preview/ }).scrollIntoViewIfNeeded();
      await shot(own.page, `poll-preview-${scheme}-${size}`);
      assertQuiet(own.wrong);
      await own.context.close();
    });
  }
}
