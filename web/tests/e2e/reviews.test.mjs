// Approvals in a browser: the queue by keyboard, what a post's panel says, pages for clients, and
// that nothing is visible at a network before its yes.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { png } from '../mock/png.mjs';
import { chipOf, connectionOf, nextMonth, schedule, sendNow, until, visible, words } from './helpers.mjs';
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
  if (MOCK) return;
  // What a test leaves open must not stand in the next one's queue.
  for (const { postId } of (await server.api('/reviews?limit=200')).items) await server.api(`/posts/${postId}/cancel`, { method: 'POST' });
});

async function upload(name, n) {
  const headers = { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/octet-stream' };
  const answer = await fetch(`${server.url}/api/v1/media?${new URLSearchParams({ name, alt: 'The harbour' })}`, { method: 'POST', headers, body: png(640, 480, n) });
  const { id } = await answer.json();
  await until(`${name} to be ready`, async () => (await server.api(`/media/${id}`)).state === 'ready');
  return id;
}
const policy = (approval) => server.api('/workspace/policies', { method: 'PATCH', body: JSON.stringify({ approval, takeBack: true }) });
/** The demo's own posts are taken back by the setting; what is asked about them is not of these tests. */
const only = async (approval) => {
  await policy(approval);
  for (const { postId } of (await server.api('/reviews?limit=200')).items) await server.api(`/posts/${postId}/cancel`, { method: 'POST' });
};
const queue = () => page.getByRole('list', { name: 'Approvals' }).getByRole('listitem').filter({ has: page.getByRole('heading', { level: 2 }) });
const card = (text) => queue().filter({ hasText: text });
const focused = (locator) => locator.evaluate((e) => e === document.activeElement || e.contains(document.activeElement));

describe('approvals', { skip: MOCK && 'the mock asks nobody' }, () => {
  test('they are asked for on their page, which says what becomes of scheduled posts', async () => {
    await page.goto(`${server.url}/reviews`);
    await page.getByText('Posts go out without an approval').waitFor();
    await assertAccessible(page, 'approvals, off');
    await schedule(server, words('Scheduled before'), nextMonth().at);
    await page.getByLabel('Posts need').selectOption('internal');
    await page.getByText(/posts? (is|are) scheduled without such an approval/).waitFor();
    await page.getByRole('button', { name: 'Take them back and ask' }).click();
    await page.getByText('Saved: posts need our approval.').first().waitFor();
    await page.getByRole('heading', { name: /Scheduled before/ }).waitFor();
    assert.ok((await page.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: /Approvals/ }).innerText()).match(/\d/), 'the count is in the navigation');
    assertQuiet(wrong.filter((line) => !/409/.test(line)));
  });

  test('the queue is answered by keyboard alone', async () => {
    await only('internal');
    const [one, two, three] = ['First question', 'Second question', 'Third question'].map(words);
    for (const [i, text] of [one, two, three].entries()) await schedule(server, text, nextMonth(i).at);
    await page.goto(`${server.url}/reviews`);
    await until('three cards', async () => (await queue().count()) === 3);
    await page.keyboard.press('j');
    await until('the first to have the focus', () => focused(card(one)));
    await page.keyboard.press('j');
    await page.keyboard.press('r');
    await card(two).getByLabel('What should change?').fill('The date is wrong.');
    await card(two).getByLabel('What should change?').press('Escape');
    assert.equal(await card(two).getByLabel('What should change?').count(), 0, 'Escape leaves it');
    await card(two).getByRole('link').first().focus();
    await page.keyboard.press('r');
    await page.keyboard.type('The date is wrong.');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await until('it to leave the queue', async () => (await card(two).count()) === 0);
    await until('the focus to go on', () => focused(card(three)));
    await page.keyboard.press('c');
    await page.keyboard.type('Is the picture ours?');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await card(three).getByText('Is the picture ours?').waitFor();
    await until('the focus to come back', () => focused(card(three)));
    await page.keyboard.press('a');
    await until('it to be approved', async () => (await card(three).count()) === 0);
    await page.keyboard.press('Control+z');
    await card(three).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('a');
    await until('it to be approved again', async () => (await card(three).count()) === 0);
    const states = Object.fromEntries((await server.api('/posts?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1000')).items.map((p) => [p.text, p.state]));
    assert.deepEqual([states[one], states[two], states[three]], ['in_review', 'in_review', 'scheduled']);
    assertQuiet(wrong);
  });

  test('a post says how far it is, is asked about again, and shows what has changed', async () => {
    await only('internal');
    const text = words('Doors open at seven');
    const post = await schedule(server, text, nextMonth().at);
    await page.goto(`${server.url}/planner?month=${nextMonth().month}`);
    const chip = await chipOf(page, text, 'In review');
    await chip.click();
    const panel = page.getByRole('dialog');
    await panel.getByText('Somebody here was asked about it').waitFor();
    await server.api(`/posts/${post.id}`, { method: 'PATCH', body: JSON.stringify({ version: post.version, text: `${text} sharp`, allowCollision: true }) });
    await panel.getByText('It was changed, so its approval no longer holds.').waitFor();
    await shot(page, 'review-panel');
    await assertAccessible(page, 'a panel with its review');
    await panel.getByRole('button', { name: 'Ask for an approval' }).click();
    await panel.getByLabel('What should they know?').fill('Now it says when.');
    await panel.getByRole('button', { name: 'Ask', exact: true }).click();
    await panel.getByRole('link', { name: 'Answer' }).click();
    await card(text).getByText('Now it says when.').waitFor();
    assert.equal((await card(text).locator('ins').innerText()).trim(), 'sharp', 'what is new');
    await shot(page, 'review-diff');
    await card(text).getByRole('button', { name: /^Approve/ }).click();
    await page.getByText(/^Approved: /).first().waitFor();
    assertQuiet(wrong);
  });

  test('a client answers on a page of their own, without a script', async () => {
    await only('client');
    const text = words('Harbour hotels');
    await schedule(server, text, nextMonth().at);
    await page.goto(`${server.url}/reviews`);
    await card(text).getByRole('button', { name: /^Approve/ }).click();
    await page.getByText('The client is asked next.').first().waitFor();
    await page.getByRole('button', { name: 'Pages for clients' }).click();
    const dialog = page.getByRole('dialog', { name: 'Pages for clients' });
    await dialog.getByLabel('The client’s name').fill('Grace');
    await dialog.getByRole('button', { name: 'Make a page' }).click();
    const url = await dialog.getByRole('textbox', { name: 'Pages for clients' }).inputValue();
    await until('the list to be read again', () => dialog.getByRole('button', { name: 'Make a page' }).isEnabled());
    await assertAccessible(page, 'the dialog of pages for clients');
    await shot(page, 'review-links');
    for (const scheme of ['light', 'dark']) {
      for (const width of [390, 1440]) {
        const client = await browser.open({ width, scheme, javaScriptEnabled: true });
        await client.page.goto(url);
        await client.page.getByText(text).waitFor();
        await assertAccessible(client.page, `the client's page, ${scheme} ${width}`);
        await shot(client.page, `client-${scheme}-${width === 390 ? 'phone' : 'wide'}`);
        assertQuiet(client.wrong);
        await client.context.close();
      }
    }
    const client = await browser.open({ width: 390, javaScriptEnabled: false });
    await client.page.goto(url);
    await client.page.getByRole('button', { name: 'Ask for changes' }).click();
    await client.page.getByRole('alert').waitFor();
    await client.page.getByRole('button', { name: 'Approve' }).click();
    await client.page.getByText('✓ Approved').waitFor();
    await client.context.close();
    await until('it to be scheduled', async () => (await server.api('/posts?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1000')).items.find((p) => p.text === text).state === 'scheduled');
    assertQuiet(wrong);
  });

  test('who is asked shows another picture, and says yes to that one', async () => {
    await only('internal');
    const [first, second] = [await upload('quay.png', 3), await upload('harbour.png', 4)];
    const text = words('The market opens');
    const { id: connectionId } = await connectionOf(server, 'mastodon');
    const post = await server.api('/posts', {
      method: 'POST',
      body: JSON.stringify({ text, media: [first], scheduledAt: nextMonth().at, timezone: 'Europe/London', allowCollision: true, deliveries: [{ connectionId }] }),
    });
    await page.goto(`${server.url}/reviews`);
    await card(text).getByRole('button', { name: /^More for/ }).click();
    await page.getByRole('button', { name: 'Show another picture…' }).click();
    const library = page.getByRole('dialog');
    await library.getByRole('button', { name: /harbour\.png/ }).click();
    await page.getByText('It shows another picture now; your answer is about that.').first().waitFor();
    await card(text).locator(`img[src*="${second}"]`).waitFor();
    await until('the focus to come back', () => focused(card(text)));
    await page.keyboard.press('a');
    await until('it to be scheduled', async () => (await server.api(`/posts/${post.id}`)).state === 'scheduled');
    assert.deepEqual((await server.api(`/posts/${post.id}`)).media.map((m) => m.id), [second]);
    assertQuiet(wrong);
  });

  test('nothing is visible before its yes', async () => {
    await only('internal');
    const text = words('Now, or not');
    const post = await sendNow(server, text, ['mastodon']);
    assert.equal(post.state, 'in_review');
    await page.goto(`${server.url}/reviews`);
    await card(text).waitFor();
    assert.equal((await visible(server, 'mastodon', text)).length, 0);
    await card(text).getByRole('button', { name: /^Approve/ }).click();
    await until('it to be seen', async () => (await visible(server, 'mastodon', text)).length === 1);
    assertQuiet(wrong);
  });

  for (const scheme of ['light', 'dark']) {
    for (const [size, width] of [['wide', 1440], ['phone', 390]]) {
      test(`the queue is accessible, ${scheme}, ${size}`, async () => {
        await only('internal');
        const text = words('A question with a note');
        const post = await schedule(server, text, nextMonth().at, ['bluesky', 'mastodon']);
        await server.api(`/posts/${post.id}`, { method: 'PATCH', body: JSON.stringify({ version: post.version, text: `${text}, and more`, allowCollision: true }) });
        await server.api('/reviews', { method: 'POST', body: JSON.stringify({ postId: post.id, note: 'The new opening time is agreed with the kitchen.' }) });
        const own = await browser.open({ width, scheme });
        await signIn(own.page, server);
        await own.page.goto(`${server.url}/reviews`);
        await own.page.getByText('The new opening time').waitFor();
        await own.page.getByRole('button', { name: /^Ask for changes/ }).first().click();
        await assertAccessible(own.page, `approvals, ${scheme} ${size}`);
        assert.ok(await own.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
        await shot(own.page, `reviews-${scheme}-${size}`);
        assertQuiet(own.wrong);
        await own.context.close();
      });
    }
  }
});
