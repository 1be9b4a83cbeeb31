// Threads and first comments in the composer: written, sent, seen again, refused where they cannot be.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { png } from '../mock/png.mjs';
import { allPosts, choose, connectionOf, nextMonth, openComposer, until, words } from './helpers.mjs';
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
const saved = async (text) => (await allPosts(server)).find((p) => p.text === text);
/** What followers see of a post and what follows it: text and what each answers to. */
async function live(network, text, count) {
  return until(`${count} of “${text}” at ${network}`, async () => {
    const all = (await server.ledger(network)).filter((p) => !p.deleted_at);
    const first = all.find((p) => p.text.includes(text));
    const found = first ? [first] : [];
    for (let next = first; next; ) {
      next = all.find((p) => p.reply_to === found.at(-1).id) ?? null;
      if (next) found.push(next);
    }
    return found.length === count && found;
  });
}

// The mock knows neither threads nor comments.
describe('threads and first comments', { skip: MOCK }, () => {
  test('a thread of three, by keyboard alone, is published at Bluesky in order', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const [one, two, three] = [words('One'), words('Two'), words('Three')];
    const dialog = await openComposer(page);
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent);
    const tabTo = async (name, keys = 'Tab') => {
      for (let i = 0; i < 60; i += 1) {
        if (name.test(((await focused()) ?? '').trim())) return;
        await page.keyboard.press(keys);
      }
      assert.fail(`Tab does not reach ${name}`);
    };
    for (const box of await dialog.getByRole('checkbox', { checked: true }).all()) {
      await box.focus();
      await page.keyboard.press('Space');
    }
    await dialog.getByRole('checkbox', { name: bluesky.label }).focus();
    await page.keyboard.press('Space');
    await tabTo(/^Text$/);
    await page.keyboard.type(one);
    await tabTo(/^Add to thread$/);
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'Part 2 of 2', 'the new part has the focus');
    await page.keyboard.type(three);
    await tabTo(/^Add to thread$/);
    await page.keyboard.press('Enter');
    await page.keyboard.type(two);
    await tabTo(/^Move part 3 up$/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'Move part 2 up', 'the focus goes along');
    await dialog.getByRole('status').filter({ hasText: 'It is part 2 of 3 now.' }).waitFor();
    assert.equal(await field(dialog, 'Part 2 of 3').inputValue(), two);
    assert.equal(await field(dialog, 'Part 3 of 3').inputValue(), three);
    // Up to the very first place and back again.
    await page.keyboard.press('Enter');
    assert.equal(await field(dialog, 'Text').inputValue(), two);
    assert.equal(await focused(), 'Text');
    await tabTo(/^Move part 2 up$/);
    await page.keyboard.press('Enter');
    assert.equal(await field(dialog, 'Text').inputValue(), one);
    await tabTo(/^Add to thread$/);
    await page.keyboard.press('Enter');
    await page.keyboard.type('Not this one');
    await tabTo(/^Remove part 4$/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'Part 3 of 3');
    const preview = dialog.getByRole('region', { name: `Preview for ${bluesky.name}` }).getByRole('listitem');
    assert.deepEqual(await preview.count(), 3);
    await dialog.getByText('Nothing in the way.').waitFor();
    await tabTo(/^Publish now or save/);
    await page.keyboard.press('Enter');
    await tabTo(/^Publish now$/);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    const there = await live('bluesky', one, 3);
    assert.deepEqual(there.map((p) => p.text), [one, two, three]);

    const post = await saved(one);
    await page.goto(`${server.url}/posts/${post.id}`);
    const panel = page.getByRole('dialog');
    for (const [name, text] of [['Part 2', two], ['Part 3', three]]) {
      const card = panel.getByRole('article', { name: new RegExp(`^${name}, `) });
      await card.getByText(text).waitFor();
      await card.getByText('Published', { exact: true }).waitFor();
      await card.getByText('Journal').click();
      await card.getByText('accepted').first().waitFor();
    }
    const order = await panel.getByRole('article').evaluateAll((all) => all.map((a) => a.getAttribute('aria-label').split(',')[0]));
    assert.deepEqual(order.slice(1), ['Part 2', 'Part 3']);
    await assertAccessible(page, 'panel with a thread');
    await shot(page, 'panel-thread');
    assertQuiet(wrong);
  });

  test('a first comment follows its picture at Instagram, and Bluesky is told to have none', async () => {
    const instagram = await connectionOf(server, 'instagram');
    const bluesky = await connectionOf(server, 'bluesky');
    const text = words('Sunset');
    const comment = words('Tickets at the door');
    const dialog = await openComposer(page);
    await choose(dialog, bluesky);
    await dialog.getByText('None of the chosen networks takes a first comment.').waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'First comment' }).count(), 0);
    await choose(dialog, instagram, bluesky);
    await field(dialog, 'Text').fill(text);
    await dialog.getByLabel('Add picture').last().setInputFiles({ name: 'sun.png', mimeType: 'image/png', buffer: png(640, 640, 4) });
    await dialog.getByText('ready', { exact: true }).waitFor({ timeout: 30_000 });
    await dialog.getByRole('button', { name: 'First comment' }).click();
    await page.keyboard.type(comment);
    await dialog.getByText('No first comments at Bluesky: it is left out there.').waitFor();
    await dialog.getByText('Nothing in the way.').nth(1).waitFor();
    await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
    await dialog.getByRole('button', { name: 'Publish now', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const there = await live('instagram', text, 2);
    assert.equal(there[1].text, comment);
    assert.equal((await live('bluesky', text, 1)).length, 1);
    const post = await saved(text);
    await page.goto(`${server.url}/posts/${post.id}`);
    const card = page.getByRole('dialog').getByRole('article', { name: /^First comment, / });
    await card.getByText(comment).waitFor();
    await card.getByText('Published', { exact: true }).waitFor();
    assertQuiet(wrong);
  });

  test('a network can have parts of its own; an edit shows all of it again', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const mastodon = await connectionOf(server, 'mastodon');
    const telegram = await connectionOf(server, 'telegram');
    const { at, day } = nextMonth(12);
    const text = words('Shared thread');
    const dialog = await openComposer(page);
    await choose(dialog, bluesky, mastodon, telegram);
    await field(dialog, 'Text').fill(text);
    await dialog.getByLabel('Day', { exact: true }).fill(day);
    await dialog.getByLabel('Time', { exact: true }).fill('12:00');
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await page.keyboard.type('Two for all');
    await dialog.getByText('No threads at Telegram: only the first part goes there.').waitFor();
    await dialog.getByRole('tab', { name: mastodon.label }).click();
    await field(dialog, `Part 2 of 2, for ${mastodon.name}`).fill('Two for Mastodon');
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await page.keyboard.type('Three for Mastodon');
    await dialog.getByRole('tab', { name: telegram.label }).click();
    await dialog.getByText('No threads at Telegram: only the first part goes there.').waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'Add to thread' }).count(), 0);
    await dialog.getByText('Nothing in the way.').nth(2).waitFor();
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const shape = async () => (await saved(text)).deliveries.map((d) => [d.network, d.placement, d.text]);
    const made = [
      ['bluesky', 'feed', null], ['bluesky', 'reply', 'Two for all'],
      ['mastodon', 'feed', null], ['mastodon', 'reply', 'Two for Mastodon'], ['mastodon', 'reply', 'Three for Mastodon'],
      ['telegram', 'message', null],
    ];
    assert.deepEqual(await shape(), made);

    const { id } = await saved(text);
    await page.goto(`${server.url}/posts/${id}`);
    const panel = page.getByRole('dialog');
    await panel.getByRole('article', { name: /^Part 2, .*Bluesky$/ }).getByText('Goes out once what it follows is live').waitFor();
    await panel.getByRole('button', { name: 'Edit' }).click();
    const edit = page.getByRole('dialog', { name: 'Edit post' });
    await edit.waitFor();
    const tabs = { bluesky: [2, 'Two for all'], mastodon: [3, 'Two for Mastodon', 'Three for Mastodon'] };
    for (const [network, [count, ...texts]] of Object.entries(tabs)) {
      const c = { bluesky, mastodon }[network];
      await edit.getByRole('tab', { name: c.label }).click();
      for (const [n, wanted] of texts.entries()) {
        assert.equal(await field(edit, `Part ${n + 2} of ${count}, for ${c.name}`).inputValue(), wanted);
      }
    }
    // Saved unchanged, it stays as it was.
    await edit.getByRole('button', { name: 'Schedule', exact: true }).click();
    await edit.waitFor({ state: 'detached' });
    assert.deepEqual(await shape(), made);
    // Back to what is shared, and then without a thread at all.
    await panel.getByRole('button', { name: 'Edit' }).click();
    await edit.getByRole('tab', { name: mastodon.label }).click();
    await edit.getByRole('button', { name: 'reset' }).click();
    await edit.getByRole('tab', { name: 'All' }).click();
    await edit.getByRole('button', { name: 'Remove part 2' }).click();
    assert.equal(await field(edit, 'Text').evaluate((e) => e === document.activeElement), true);
    await edit.getByRole('button', { name: 'Schedule', exact: true }).click();
    await edit.waitFor({ state: 'detached' });
    assert.deepEqual(await shape(), [['bluesky', 'feed', null], ['mastodon', 'feed', null], ['telegram', 'message', null]]);
    assert.equal(Date.parse((await saved(text)).scheduledAt), Date.parse(at));
    assertQuiet(wrong);
  });

  test('what is wrong with a part stands at that part', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const facebook = await connectionOf(server, 'facebook');
    const text = words('Too much');
    const dialog = await openComposer(page);
    await choose(dialog, bluesky);
    await field(dialog, 'Text').fill(text);
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await field(dialog, 'Part 2 of 2').fill('fine');
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await field(dialog, 'Part 3 of 3').fill('bread '.repeat(60));
    await until('the server to object', async () => (await field(dialog, 'Part 3 of 3').getAttribute('aria-invalid')) === 'true');
    assert.equal(await field(dialog, 'Part 2 of 3').getAttribute('aria-invalid'), 'false');
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    const part = dialog.getByRole('listitem').filter({ has: page.getByRole('textbox', { name: 'Part 3 of 3' }) });
    await part.getByText('The text is 60 characters too long for Bluesky (360 of 300).').waitFor();
    await dialog.getByText('Part 3 of 3: The text is 60 characters too long').waitFor();
    await assertAccessible(page, 'composer with a part that is too long');
    await shot(page, 'thread-too-long');
    // To networks without threads it would be lost: that is said, and nothing is saved.
    await field(dialog, 'Part 3 of 3').fill('fine too');
    await choose(dialog, facebook);
    await dialog.getByText('None of the chosen networks has threads.').waitFor();
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.getByText('No connection takes the thread').first().waitFor();
    await dialog.getByRole('button', { name: 'Remove part 3' }).click();
    await dialog.getByRole('button', { name: 'Remove part 2' }).click();
    await dialog.getByRole('button', { name: 'First comment' }).click();
    await page.keyboard.type('Lost');
    await choose(dialog, bluesky);
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.getByText('No chosen network takes the first comment').first().waitFor();
    assert.equal(await saved(text), undefined, 'nothing was saved');
    assertQuiet(wrong, [/status of 422/]);
  });

  test('a draft keeps its thread before it is known where it goes', async () => {
    const text = words('Idea');
    const dialog = await openComposer(page);
    await choose(dialog, await connectionOf(server, 'bluesky'));
    await field(dialog, 'Text').fill(text);
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await page.keyboard.type('and how it goes on');
    await choose(dialog);
    await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
    await dialog.getByRole('button', { name: 'Save draft' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.goto(`${server.url}/posts/${(await saved(text)).id}`);
    await page.getByRole('dialog').getByText('and how it goes on').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Edit' }).click();
    assert.equal(await field(page.getByRole('dialog', { name: 'Edit post' }), 'Part 2 of 2').inputValue(), 'and how it goes on');
    assertQuiet(wrong);
  });

  test('a thread that was not sent survives a reload', async () => {
    const dialog = await openComposer(page);
    await choose(dialog, await connectionOf(server, 'mastodon'));
    await field(dialog, 'Text').fill(words('Half'));
    await dialog.getByRole('button', { name: 'Add to thread' }).click();
    await page.keyboard.type('and the other half');
    await page.reload();
    const again = await openComposer(page);
    assert.equal(await field(again, 'Part 2 of 2').inputValue(), 'and the other half');
    await again.getByRole('button', { name: 'Start afresh' }).click();
    assert.equal(await field(again, 'Part 2 of 2').count(), 0);
    assertQuiet(wrong);
  });

  for (const scheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 1100 }, phone: { width: 390, height: 844 } })) {
      test(`looks right: ${scheme}, ${size}`, async () => {
        const own = await browser.open({ ...viewport, scheme });
        await signIn(own.page, server);
        const dialog = await openComposer(own.page);
        await choose(dialog, await connectionOf(server, 'bluesky'), await connectionOf(server, 'mastodon'), await connectionOf(server, 'instagram'));
        await field(dialog, 'Text').fill('Rye from the new mill: darker, a little sour. #bread');
        for (const text of ['Baked every Tuesday, and gone by nine.', 'Come early: https://marlow.example/rye']) {
          await dialog.getByRole('button', { name: 'Add to thread' }).click();
          await own.page.keyboard.type(text);
        }
        await dialog.getByRole('button', { name: 'First comment' }).click();
        await own.page.keyboard.type('The recipe is in our letter. #rye #sourdough');
        await dialog.getByText('Nothing in the way.').first().waitFor();
        await assertAccessible(own.page, `composer with a thread, ${scheme}, ${size}`);
        const over = await own.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(over <= 0, `${over} px too wide`);
        await shot(own.page, `thread-${scheme}-${size}`);
        await dialog.getByRole('combobox', { name: 'Preview at' }).selectOption({ label: 'Instagram, @the_anchor' });
        await dialog.getByRole('region', { name: 'Preview for @the_anchor' }).getByText('The recipe is in our letter.').scrollIntoViewIfNeeded();
        await shot(own.page, `thread-preview-${scheme}-${size}`);
        await dialog.getByRole('tab', { name: (await connectionOf(server, 'mastodon')).label }).click();
        await assertAccessible(own.page, `composer on a network's tab, ${scheme}, ${size}`);
        await shot(own.page, `thread-tab-${scheme}-${size}`);
        assertQuiet(own.wrong);
        await own.context.close();
      });
    }
  }
});
