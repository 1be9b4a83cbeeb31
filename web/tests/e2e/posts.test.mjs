// Journeys with posts: from writing to seeing it live, moving, cancelling, and what is refused.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { png } from '../mock/png.mjs';
import { allPosts, cellOf, chipOf, choose, connectionOf, nextMonth, openComposer, schedule, sendNow, until, words } from './helpers.mjs';
import { assertQuiet, MOCK, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong;
before(async () => {
  // The demo's posts lie around now: what is near them depends on the time of day.
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

describe('planner', () => {
  test('signing in lands on this month, with the demo’s posts on it', async () => {
    const month = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric' }).format(new Date());
    await page.getByRole('heading', { level: 1, name: month }).waitFor();
    await page.getByRole('grid').getByRole('link').first().waitFor();
    assert.match(page.url(), /\/planner$/);
    assertQuiet(wrong);
  });

  test('months turn, have addresses, and T comes back to today', async () => {
    const { month } = nextMonth();
    const name = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(new Date(`${month}-01`));
    await page.getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    assert.ok(page.url().endsWith(`/planner/month/${month}`));
    await page.keyboard.press('t');
    await page.waitForURL(/\/planner$/);
    await page.goBack();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    await page.goto(`${server.url}/planner?month=2031-01`);
    await page.getByRole('heading', { level: 1, name: 'January 2031' }).waitFor();
    await page.getByText('Nothing planned in January 2031').waitFor();
    await page.getByRole('main').getByRole('button', { name: 'New post', exact: true }).click();
    await page.getByRole('dialog', { name: 'New post' }).waitFor();
    assertQuiet(wrong);
  });

  test('a scheduled post is dragged to another day, and Ctrl+Z takes it back', async () => {
    const from = nextMonth();
    const to = nextMonth(2);
    const text = words('Dragged');
    const { id } = await schedule(server, text, from.at);
    await page.goto(`${server.url}/planner?month=${from.month}`);
    const chip = await chipOf(page, text);
    await cellOf(page, to.day).scrollIntoViewIfNeeded();
    await drag(await chip.boundingBox(), await cellOf(page, to.day).boundingBox());
    await page.getByText(/moved to/).first().waitFor();
    await cellOf(page, to.day).getByRole('link', { name: text }).waitFor();
    assert.equal((await server.api(`/posts/${id}`)).scheduledAt.slice(0, 16), to.at.slice(0, 16));
    await page.keyboard.press('Control+z');
    await cellOf(page, from.day).getByRole('link', { name: text }).waitFor();
    await until('the server to have it back', async () => (await server.api(`/posts/${id}`)).scheduledAt.slice(0, 16) === from.at.slice(0, 16));
    assert.match(page.url(), /\/planner/, 'the drop was no click on the chip');
    assertQuiet(wrong);
  });

  test('a rest over the next month’s arrow turns the page while dragging', async () => {
    const from = nextMonth(1);
    const later = new Date(Date.parse(`${from.month}-01`));
    later.setUTCMonth(later.getUTCMonth() + 1);
    const month = later.toISOString().slice(0, 7);
    const text = words('Far away');
    const { id } = await schedule(server, text, from.at);
    await page.goto(`${server.url}/planner?month=${from.month}`);
    const chip = await (await chipOf(page, text)).boundingBox();
    const name = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(later);
    const arrow = await page.getByRole('link', { name, exact: true }).boundingBox();
    await page.mouse.move(chip.x + 20, chip.y + 8);
    await page.mouse.down();
    await page.mouse.move(arrow.x + 10, arrow.y + 10, { steps: 6 });
    await page.getByRole('heading', { level: 1, name }).waitFor();
    const target = cellOf(page, `${month}-10`);
    await target.waitFor();
    const box = await target.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await target.getByRole('link', { name: text }).waitFor();
    await until('the server to have it', async () => (await server.api(`/posts/${id}`)).scheduledAt.startsWith(`${month}-10`));
    assertQuiet(wrong);
  });

  test('by keyboard: M picks up, arrows choose, Enter drops, Escape puts back; each step is said', async () => {
    const from = nextMonth(7);
    const to = nextMonth(8);
    const text = words('Carried');
    const { id } = await schedule(server, text, from.at);
    await page.goto(`${server.url}/planner?month=${from.month}`);
    const said = page.getByRole('status').filter({ hasText: /./ });
    await (await chipOf(page, text)).focus();
    await page.keyboard.press('m');
    await said.filter({ hasText: 'Picked up' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    await said.filter({ hasText: 'Put back' }).waitFor();
    assert.equal((await server.api(`/posts/${id}`)).scheduledAt.slice(0, 16), from.at.slice(0, 16));
    await page.keyboard.press('m');
    await page.keyboard.press('ArrowRight');
    await said.filter({ hasText: String(Number(to.day.slice(8))) }).first().waitFor();
    await page.keyboard.press('Enter');
    await said.filter({ hasText: 'moved to' }).first().waitFor();
    const moved = cellOf(page, to.day).getByRole('link', { name: text });
    await moved.waitFor();
    assert.equal(await moved.evaluate((e) => e === document.activeElement), true, 'the focus went along');
    assert.equal((await server.api(`/posts/${id}`)).scheduledAt.slice(0, 16), to.at.slice(0, 16));
    assertQuiet(wrong);
  });

  test('arrows walk the days and Enter writes a post for one', async () => {
    const { month } = nextMonth();
    await page.goto(`${server.url}/planner?month=${month}`);
    await cellOf(page, `${month}-01`).getByRole('button').first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'New post' });
    await dialog.waitFor();
    assert.equal(await dialog.getByLabel('Day', { exact: true }).inputValue(), `${month}-09`);
    assertQuiet(wrong);
  });
});

async function drag(from, to) {
  const x = from.x + from.width / 2;
  const y = from.y + from.height / 2;
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 8, y + 8);
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 8 });
  await page.mouse.up();
}

describe('writing', () => {
  test('a post with a picture goes live on two networks, once, and its chip says so without a reload', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const mastodon = await connectionOf(server, 'mastodon');
    const text = words('Fresh from the oven');
    const dialog = await openComposer(page);
    await choose(dialog, bluesky, mastodon);
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await dialog.getByLabel('Add picture').last().setInputFiles({ name: 'loaves.png', mimeType: 'image/png', buffer: png(640, 480, 3) });
    await dialog.getByText('ready', { exact: true }).waitFor({ timeout: 30_000 });
    await dialog.getByLabel('Description of loaves.png').fill('Four loaves on a rack');
    await dialog.getByLabel('Description of loaves.png').blur();
    await dialog.getByText('Nothing in the way.').nth(1).waitFor();
    await shot(page, 'composer-filled');
    await page.evaluate(() => (window.stillHere = true));
    await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
    await dialog.getByRole('button', { name: 'Publish now', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('On its way.').waitFor();
    await until('the chip to say Published', async () => {
      const chip = await chipOf(page, text);
      return /Published/.test(await chip.innerText());
    });
    assert.equal(await page.evaluate(() => window.stillHere), true, 'without a reload');
    for (const network of ['bluesky', 'mastodon']) {
      const live = (await server.ledger(network)).filter((p) => p.text.includes(text) && !p.deleted_at);
      assert.equal(live.length, 1, `${network} shows it exactly once`);
      assert.equal(live[0].media.length, 1, `${network} shows its picture`);
    }
    await (await chipOf(page, text)).click();
    const panel = page.getByRole('dialog');
    await panel.getByRole('link', { name: 'Open at Bluesky' }).waitFor();
    await panel.getByRole('article', { name: /Bluesky/ }).getByText('Journal').click();
    await panel.getByText('accepted').first().waitFor();
    await shot(page, 'panel-published');
    await page.goBack();
    await panel.waitFor({ state: 'detached' });
    // A refusal is an answer, not a fault of the page; Chromium logs every 4xx all the same.
    assertQuiet(wrong, [/status of 409/]);
  });

  test('Ctrl+Enter schedules; an own text for one network stays its own', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const mastodon = await connectionOf(server, 'mastodon');
    const { day, month } = nextMonth(3);
    const text = words('Shared');
    const own = words('Only here');
    const dialog = await openComposer(page);
    await choose(dialog, bluesky, mastodon);
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await dialog.getByLabel('Day', { exact: true }).fill(day);
    await dialog.getByLabel('Time', { exact: true }).fill('15:30');
    await dialog.getByRole('tab', { name: mastodon.label }).click();
    await dialog.getByText('inherits the shared text').waitFor();
    await dialog.getByRole('textbox', { name: `Text for ${mastodon.name}` }).fill(own);
    await dialog.getByText('customised –').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByText(/^Scheduled for/).waitFor();
    await page.goto(`${server.url}/planner?month=${month}`);
    await (await chipOf(page, text, 'Scheduled')).click();
    await page.getByRole('dialog').getByText('Its own text').click();
    await page.getByRole('dialog').getByText(own).waitFor();
    const { items } = await server.api(`/posts?from=${day}T00:00:00Z&to=${day}T23:59:59Z`);
    const made = items.find((p) => p.text === text);
    assert.deepEqual(
      Object.fromEntries(made.deliveries.map((d) => [d.network, d.text])),
      { bluesky: null, mastodon: own },
    );
    assertQuiet(wrong);
  });

  test('a text that is too long is blocked with its reason, beside the text and in the list', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const text = `${words('Long')} ${'bread '.repeat(60)}`;
    const dialog = await openComposer(page);
    await choose(dialog, bluesky);
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    const field = dialog.getByRole('textbox', { name: 'Text', exact: true });
    await until('the server to object', async () => (await field.getAttribute('aria-invalid')) === 'true');
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.getByText(/300/).first().waitFor();
    await shot(page, 'composer-too-long');
    assert.equal(await dialog.isVisible(), true);
    const items = await allPosts(server);
    assert.equal(items.filter((p) => p.text === text).length, 0, 'nothing was saved');
    // A refusal is an answer, not a fault of the page; Chromium logs every 4xx all the same.
    assertQuiet(wrong, [/status of 422/]);
  });

  test('what was written and not sent survives a reload', async () => {
    const text = words('Half a thought');
    const dialog = await openComposer(page);
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await page.reload();
    const again = await openComposer(page);
    await again.getByText(/^This is your unsent draft from /).waitFor();
    assert.equal(await again.getByRole('textbox', { name: 'Text', exact: true }).inputValue(), text);
    await again.getByRole('button', { name: 'Start afresh' }).click();
    assert.equal(await again.getByRole('textbox', { name: 'Text', exact: true }).inputValue(), '');
    assertQuiet(wrong);
  });

  test('pictures are dropped and pasted into the composer, and taken out again', async () => {
    const dialog = await openComposer(page);
    const bytes = [...png(64, 48, 5)];
    for (const [type, name] of [['drop', 'dropped.png'], ['paste', 'pasted.png']]) {
      await dialog.getByRole('textbox', { name: 'Text', exact: true }).evaluate(
        (element, { bytes, type, name }) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
          const init = { bubbles: true, cancelable: true };
          element.dispatchEvent(type === 'drop' ? new DragEvent('drop', { ...init, dataTransfer: data }) : new ClipboardEvent('paste', { ...init, clipboardData: data }));
        },
        { bytes, type, name },
      );
      await dialog.getByRole('textbox', { name: `Description of ${name}` }).waitFor();
    }
    await dialog.getByText('ready', { exact: true }).nth(1).waitFor();
    await dialog.getByRole('button', { name: 'Remove dropped.png' }).click();
    await dialog.getByRole('textbox', { name: 'Description of dropped.png' }).waitFor({ state: 'detached' });
    await page.reload();
    const again = await openComposer(page);
    await again.getByRole('textbox', { name: 'Description of pasted.png' }).waitFor();
    await again.getByRole('button', { name: 'Start afresh' }).click();
    assertQuiet(wrong);
  });

  test('an edit that meets another edit asks which one counts', async () => {
    const { at, day } = nextMonth(4);
    const text = words('First');
    const post = await schedule(server, text, at);
    await page.goto(`${server.url}/posts/${post.id}`);
    await page.getByRole('dialog').getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit post' });
    await dialog.waitFor();
    const theirs = words('Theirs');
    await server.api(`/posts/${post.id}`, {
      method: 'PATCH',
      body: JSON.stringify({
        version: post.version, text: theirs, media: [], scheduledAt: post.scheduledAt, timezone: post.timezone,
        deliveries: post.deliveries.map((d) => ({ connectionId: d.connectionId })),
      }),
    });
    const ours = words('Ours');
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(ours);
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.getByText('changed somewhere else').waitFor();
    await dialog.getByRole('button', { name: 'Keep my text' }).click();
    await dialog.getByText('changed somewhere else').waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const saved = await server.api(`/posts/${post.id}`);
    assert.equal(saved.text, ours);
    assert.equal(saved.scheduledAt.slice(0, 10), day);
    assertQuiet(wrong, [/status of 409/]);
  });
});

describe('panel', () => {
  test('“Move to…” changes day and time', async () => {
    const from = nextMonth(5);
    const to = nextMonth(6);
    const post = await schedule(server, words('To be moved'), from.at);
    await page.goto(`${server.url}/posts/${post.id}`);
    const panel = page.getByRole('dialog');
    await panel.getByRole('button', { name: 'Move to…' }).click();
    await panel.getByLabel('Day', { exact: true }).fill(to.day);
    await panel.getByLabel('Time', { exact: true }).fill('16:45');
    await panel.getByRole('button', { name: 'Move', exact: true }).click();
    await panel.getByText(/16:45/).first().waitFor();
    const moved = await server.api(`/posts/${post.id}`);
    assert.equal(moved.scheduledAt.slice(0, 10), to.day);
    assertQuiet(wrong);
  });

  test('cancelling is final and seen on the chip', async () => {
    const { at, month } = nextMonth(9);
    const text = words('Not after all');
    const post = await schedule(server, text, at);
    await page.goto(`${server.url}/planner?month=${month}`);
    await (await chipOf(page, text, 'Scheduled')).click();
    const panel = page.getByRole('dialog');
    await panel.getByRole('button', { name: 'Cancel post' }).click();
    await panel.getByText('Cancelled').first().waitFor();
    await panel.getByRole('button', { name: 'Close' }).click();
    await chipOf(page, text, 'Cancelled');
    assert.equal((await server.api(`/posts/${post.id}`)).state, 'cancelled');
    assertQuiet(wrong);
  });

  test('“Is it live?” is answered by a person, and rolled back posts are gone at the network', async () => {
    const asked = await until('a delivery whose outcome nobody can look up', async () =>
      (await allPosts(server)).find((p) => p.deliveries.some((d) => d.question === 'is_it_live')),
    );
    await page.goto(`${server.url}/posts/${asked.id}`);
    const panel = page.getByRole('dialog');
    await panel.getByRole('heading', { name: /^Is it live at/ }).waitFor();
    await shot(page, 'panel-question');
    await panel.getByLabel('Address of the post, if you have it').fill('https://t.me/anchor_news/1');
    await panel.getByRole('button', { name: 'It is live', exact: true }).click();
    await panel.getByRole('heading', { name: /^Is it live at/ }).waitFor({ state: 'detached' });
    await panel.getByText('Published', { exact: true }).first().waitFor();
    const answered = (await server.api(`/posts/${asked.id}`)).deliveries.find((d) => d.network === 'telegram');
    assert.equal(answered.state, 'published');
    assert.equal(answered.question, null);

    const text = words('Gone again');
    const made = await sendNow(server, text, ['mastodon']);
    await page.goto(`${server.url}/posts/${made.id}`);
    await panel.getByRole('button', { name: 'Roll back…' }).click({ timeout: 60_000 });
    await panel.getByText('This deletes the post at Mastodon.').waitFor();
    await panel.getByRole('button', { name: 'Delete it there' }).click();
    await panel.getByRole('region', { name: 'Roll back…' }).getByText('Mastodon').waitFor();
    await panel.getByRole('region', { name: 'Roll back…' }).getByRole('button', { name: 'Close' }).waitFor();
    const there = (await server.ledger('mastodon')).filter((p) => p.text.includes(text));
    assert.equal(there.length, 1);
    assert.ok(there[0].deleted_at, 'the sandbox shows it no more');
    assertQuiet(wrong);
  });

  test('what is live is edited at its network', async () => {
    const [text, later] = [words('Doors open at seven'), words('Doors open at eight')];
    const made = await sendNow(server, text, ['mastodon', 'bluesky']);
    await page.goto(`${server.url}/posts/${made.id}`);
    const panel = page.getByRole('dialog');
    await panel.getByText('Bluesky lets no program change what is live.').waitFor({ timeout: 60_000 });
    await panel.getByRole('button', { name: 'Edit at the network…' }).click({ timeout: 60_000 });
    const dialog = page.getByRole('dialog', { name: 'Edit at Mastodon' });
    const field = dialog.getByLabel(/^Text for/);
    assert.equal(await field.inputValue(), text);
    await field.fill('x'.repeat(501));
    await dialog.getByText('−1', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Change it at Mastodon' }).click();
    await dialog.getByText('The text is 1 character too long for Mastodon (501 of 500).').waitFor();
    await field.fill(later);
    await shot(page, 'panel-amend');
    await dialog.getByRole('button', { name: 'Change it at Mastodon' }).click();
    await dialog.waitFor({ state: 'detached' });
    await panel.getByText('Its own text').click();
    await panel.getByText(later, { exact: true }).waitFor();
    const there = await server.ledger('mastodon');
    assert.equal(there.filter((p) => p.text === later).length, 1, 'followers read it');
    assert.equal(there.filter((p) => p.text === text).length, 0);
    assertQuiet(wrong, [/422/]);
  });

  test('what followers did is read at the network', { skip: MOCK && 'nobody follows the mock' }, async () => {
    const made = await sendNow(server, words('Read all about it'), ['mastodon']);
    await page.goto(`${server.url}/posts/${made.id}`);
    const numbers = page.getByRole('dialog').getByRole('group', { name: 'What followers did' });
    const button = numbers.getByRole('button', { name: 'Read numbers' });
    await button.waitFor({ timeout: 60_000 });
    await numbers.getByText('Nobody has asked Mastodon yet.').waitFor();
    const { id } = (await server.api(`/posts/${made.id}`)).deliveries[0];
    const { remoteId } = await server.api(`/deliveries/${id}`);
    await server.followers('mastodon', remoteId, { likes: 7, comments: 5, shares: 4 });
    await button.click();
    await numbers.getByText(/^As of /).waitFor();
    const read = async () => (await numbers.locator('dl > div').allInnerTexts()).map((pair) => pair.replace(/\s+/g, ' '));
    assert.deepEqual(await read(), ['likes 7', 'comments 5', 'shares 4']);
    await shot(page, 'panel-numbers');

    // A network that is down takes nothing away.
    await server.fault('mastodon', 'server_error', 1, 'read');
    await button.click();
    await numbers.getByRole('alert').getByText('Mastodon is out of order for the moment.').waitFor();
    assert.deepEqual(await read(), ['likes 7', 'comments 5', 'shares 4']);
    await shot(page, 'panel-numbers-failed');
    assertQuiet(wrong, [/503/]);
  });

  test('what is published refuses to move and says why', async () => {
    const published = await until('a published post of the demo', async () => (await allPosts(server)).find((p) => p.state === 'published'));
    await page.goto(`${server.url}/posts/${published.id}`);
    const panel = page.getByRole('dialog');
    await panel.getByText('This post is published, so it cannot move.').waitFor();
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    const chip = page.locator(`[data-post="${published.id}"]`);
    if (!(await chip.isVisible())) {
      for (const more of await page.getByRole('button', { name: /^\d+ more$/ }).all()) await more.click();
    }
    await chip.focus();
    await page.keyboard.press('m');
    await page.getByText('This post is published, so it cannot move.').first().waitFor();
    assert.equal((await server.api(`/posts/${published.id}`)).scheduledAt, published.scheduledAt);
    assertQuiet(wrong);
  });
});
