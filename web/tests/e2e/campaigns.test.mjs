// Campaigns and posts that come round, from the form to the bars above the weeks; by role and name,
// one journey by keyboard alone, every page looked at in both schemes and widths.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { choose, connectionOf, nextMonth, openComposer, until, words } from './helpers.mjs';
import { assertAccessible, assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong;
before(async () => {
  server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
  browser = await startBrowser();
  await until('pictures to be ready', async () => (await server.api('/media')).items.some((m) => m.state === 'ready'));
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

/** The day of an event far enough ahead that its whole countdown is to come. */
const eventDay = nextMonth(15).day;

async function fillEvent(name) {
  await page.goto(`${server.url}/campaigns/new?kind=event`);
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('When the event is').fill(`${eventDay}T19:30`);
  const mastodon = await connectionOf(server, 'mastodon');
  for (const box of await page.getByRole('group', { name: 'Where' }).getByRole('checkbox').all()) await box.uncheck();
  await page.getByRole('checkbox', { name: mastodon.label }).check();
  await page.getByRole('textbox', { name: 'Text of the posts' }).fill(`${name}: come and sing.`);
  await page.getByRole('button', { name: 'From the library' }).click();
  await page.getByRole('dialog').getByRole('button', { name: /^Use / }).first().click();
}

/** A campaign through the API, scheduled. */
async function made(name, more = {}) {
  const { items } = await server.api('/media');
  const ready = items.find((m) => m.state === 'ready' && m.contentType.startsWith('image/'));
  const { id } = await connectionOf(server, 'mastodon');
  const form = {
    kind: 'event',
    name,
    dates: { event: eventDay },
    post: { text: `${name}: come and sing.`, media: [ready.id], deliveries: [{ connectionId: id }], allowDuplicate: true },
    ...more,
  };
  return server.api('/campaigns', { method: 'POST', body: JSON.stringify(form) });
}

describe('campaigns', () => {
  test('a countdown is planned with its dates in sight, struck out and added', async () => {
    const name = words('Concert');
    await fillEvent(name);
    const slots = page.getByRole('region', { name: 'Dates' });
    await slots.getByRole('heading', { name: '4 posts' }).waitFor();
    assert.deepEqual(await slots.getByRole('listitem').locator('.label').allTextContents(), ['D-7', 'D-3', 'D-1', 'D 0']);
    await slots.getByRole('button', { name: /^Strike out/ }).nth(1).click();
    await slots.getByRole('heading', { name: '3 posts' }).waitFor();
    await slots.getByLabel('One more day').fill(nextMonth(10).day);
    await slots.getByRole('button', { name: 'Add', exact: true }).click();
    await slots.getByRole('heading', { name: '4 posts' }).waitFor();
    await page.getByRole('button', { name: 'Create 4 drafts' }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    assert.equal(await page.getByRole('main').getByRole('listitem').count(), 4);
    await page.getByRole('button', { name: 'Schedule 4 drafts' }).click();
    await page.getByText('4 scheduled').waitFor();
    assertQuiet(wrong);
  });

  test('what is wrong is said beside its field once it was tried', async () => {
    await page.goto(`${server.url}/campaigns/new?kind=event`);
    await page.getByRole('button', { name: /^Create/ }).click();
    await page.getByText('Give the campaign a name.').first().waitFor();
    await page.getByText('Say on which day the event is.').waitFor();
    assertQuiet(wrong, [/status of 422/]);
  });

  test('it is paused, moved and cancelled as one, and Ctrl+Z takes that back', async () => {
    const name = words('Market');
    const { id } = await made(name);
    await page.goto(`${server.url}/campaigns/${id}`);
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByText('Campaign paused. 4 deliveries are held.').first().waitFor();
    await page.keyboard.press('Control+z');
    await page.getByText('4 scheduled').waitFor();
    const before = await server.api(`/campaigns/${id}`);
    await page.getByRole('button', { name: 'Move all…' }).click();
    await page.getByLabel('By how many days').fill('2');
    await page.getByRole('button', { name: 'Move', exact: true }).click();
    await page.getByText('Campaign moved.').first().waitFor();
    const moved = await server.api(`/campaigns/${id}`);
    assert.equal(Date.parse(moved.first) - Date.parse(before.first), 2 * 86_400_000);
    await page.getByRole('button', { name: 'Cancel campaign' }).click();
    await page.getByText('4 cancelled').waitFor();
    await page.keyboard.press('Control+z');
    await page.getByText('4 scheduled').waitFor();
    assertQuiet(wrong);
  });

  test('by keyboard alone, from the planner to four drafts', async () => {
    const name = words('Keys');
    await page.goto(`${server.url}/campaigns/new`);
    await page.getByRole('link', { name: /^Promotion/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'Name' }).focus();
    await page.keyboard.type(name);
    await page.getByRole('region', { name: 'Dates' }).getByRole('heading', { name: '3 posts' }).waitFor();
    await page.getByRole('button', { name: /^Strike out/ }).first().focus();
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Dates' }).getByRole('heading', { name: '2 posts' }).waitFor();
    await page.getByRole('textbox', { name: 'Text of the posts' }).focus();
    await page.keyboard.type('Two for one');
    await page.getByRole('button', { name: 'Create 2 drafts' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name }).waitFor();
    assertQuiet(wrong);
  });

  test('its bar stands above the weeks of the planner', async () => {
    const name = words('Bar');
    const { id } = await made(name);
    await page.goto(`${server.url}/planner?month=${nextMonth(15).month}`);
    const bar = page.getByRole('link', { name: `Campaign ${name}` }).first();
    await bar.click();
    await page.waitForURL(`**/campaigns/${id}`);
    assertQuiet(wrong);
  });
});

describe('posts that come round', () => {
  test('a post repeats, one is skipped, and undo takes it in again', async () => {
    const text = words('Quiz night');
    const { day, month } = nextMonth(1);
    await page.goto(`${server.url}/planner?month=${month}`);
    const dialog = await openComposer(page);
    await choose(dialog, await connectionOf(server, 'mastodon'));
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await dialog.getByLabel('Day', { exact: true }).fill(day);
    await dialog.getByLabel('Time', { exact: true }).fill('07:00');
    await dialog.getByLabel('Repeats').selectOption({ label: 'Every week' });
    await dialog.getByLabel('Every', { exact: true }).fill('2');
    await dialog.getByLabel('Ends').selectOption({ label: 'After' });
    await dialog.getByLabel('Times').fill('12');
    await dialog.getByText(/^Every second \w+ at 07:00 \(Europe\/London\), 12 times\.$/).waitFor();
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const { items } = await server.api('/series');
    const series = items.find((s) => s.post.text === text);
    const [first] = series.next;
    await page.goto(`${server.url}/posts/${first.postId}`);
    const panel = page.getByRole('dialog');
    await panel.getByText('One of a series.').waitFor();
    await panel.getByText('Every second').waitFor();
    await shot(page, 'series-panel');
    await panel.getByRole('button', { name: 'Skip this one' }).click();
    await panel.waitFor({ state: 'detached' });
    const skipped = await server.api(`/series/${series.id}`);
    assert.deepEqual(skipped.without, [first.occurrence]);
    await page.keyboard.press('Control+z');
    await until('it is taken in again', async () => (await server.api(`/series/${series.id}`)).without.length === 0);
    assertQuiet(wrong);
  });

  test('this and all that follow say something else from then on', async () => {
    const text = words('Roast');
    const { id } = await connectionOf(server, 'mastodon');
    const { day } = nextMonth(2);
    const body = { post: { text, scheduledAt: `${day}T07:00`, timezone: 'Europe/London', deliveries: [{ connectionId: id }] }, rule: 'FREQ=WEEKLY;COUNT=6' };
    const series = await server.api('/series', { method: 'POST', body: JSON.stringify(body) });
    await page.goto(`${server.url}/posts/${series.next[0].postId}`);
    await page.getByRole('button', { name: 'This and following…' }).click();
    const dialog = page.getByRole('dialog', { name: 'This and all that follow' });
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(`${text} with gravy`);
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const { items } = await server.api('/series');
    const next = items.find((s) => s.post.text === `${text} with gravy`);
    assert.ok(next.next.length >= 5, 'it goes on by the same rule');
    assert.equal((await server.api(`/series/${series.id}`)).endsBefore, series.next[0].occurrence);
    assertQuiet(wrong);
  });
});

for (const scheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } })) {
    test(`looked at: ${scheme}, ${size}`, async () => {
      const own = await browser.open({ ...viewport, scheme });
      page = own.page;
      try {
        await signIn(page, server);
        const look = async (name) => {
          await assertAccessible(page, name);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} has no sideways scrolling`);
          await shot(page, `${name}-${scheme}-${size}`);
        };
        await page.goto(`${server.url}/campaigns/new`);
        await page.getByRole('link', { name: /^Weekly/ }).waitFor();
        await look('campaign-templates');
        await fillEvent('Christmas concert');
        await page.getByRole('heading', { name: '4 posts' }).waitFor();
        await page.getByRole('button', { name: /^Strike out/ }).nth(1).click();
        await page.getByRole('heading', { name: '3 posts' }).waitFor();
        await look('campaign-form');
        const { id } = await made('Christmas concert', { objective: 'A full house', goals: ['80 tickets', '20 new members'], budget: { amount: '250.00', currency: 'GBP' } });
        await page.goto(`${server.url}/campaigns/${id}`);
        await page.getByText('4 posts').waitFor();
        await page.getByRole('button', { name: 'Move all…' }).click();
        await look('campaign');
        await page.goto(`${server.url}/campaigns`);
        await page.getByRole('heading', { name: 'Christmas concert' }).first().waitFor();
        await look('campaigns');
        await page.goto(`${server.url}/planner?month=${nextMonth(15).month}`);
        await page.locator('[data-post]').first().waitFor();
        await look('planner-bars');
        const dialog = await openComposer(page);
        await dialog.getByLabel('Repeats').selectOption({ label: 'Every week' });
        await dialog.getByText(/^Every \w+ at/).waitFor();
        await look('composer-repeats');
        assertQuiet(own.wrong);
      } finally {
        await own.context.close();
      }
    });
  }
}
