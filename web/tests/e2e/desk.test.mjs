// The operator's journeys: pausing and resuming, draining, circuits, sweeps, dead letters, the held
// question, alerts and the audit trail. Everything ends at the sandbox's ledger or the API's answer.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { choose, connectionOf, deadLetter, doubt, nextMonth, openComposer, QUICK, schedule, sendNow, until, visible, words } from './helpers.mjs';
import { assertQuiet, MOCK, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser, page, context, wrong;
before(async () => {
  server = await startServer({ env: QUICK });
  browser = await startBrowser();
  // What the demo sends at once is not to stand in a lane that a test counts.
  if (!MOCK) await until('the demo to be out', async () => (await visible(server, 'mastodon', 'The lights on the harbour')).length === 1);
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
  // What a failed test leaves behind must not fail the next.
  await server.clearFaults();
  for (const { scope } of (await server.api('/pauses')).items) await server.api(`/pauses/${scope}`, { method: 'DELETE' });
});

const dialog = () => page.getByRole('dialog');
const rowOf = (text) => page.getByRole('list', { name: 'Dead letters' }).getByRole('listitem').filter({ hasText: text });
const focused = (locator) => locator.evaluate((e) => e === document.activeElement || e.contains(document.activeElement));

describe('the queue', { skip: MOCK && 'the mock sends nothing' }, () => {
  test('everything is paused with a reason, said on every page, and goes on when resumed', async () => {
    await page.goto(`${server.url}/queue`);
    await page.getByText('Publishing normally.').waitFor();
    await page.getByRole('button', { name: 'Pause…' }).click();
    await dialog().getByLabel('Reason').fill('The price list is wrong');
    await dialog().getByRole('button', { name: 'Pause: Everything' }).click();
    await page.getByText('Everything is paused by you: The price list is wrong.').waitFor();
    await page.getByText('Covered by a pause: Everything').first().waitFor();

    const text = words('Behind the gate');
    const post = await sendNow(server, text, ['mastodon']);
    await until('the lane to show what waits', async () => /1/.test(await page.getByRole('row', { name: /Mastodon/ }).getByRole('cell').first().innerText()));
    await shot(page, 'queue-paused');
    for (const path of ['/planner', '/connections', '/media', '/dead-letters', '/audit']) {
      await page.goto(server.url + path);
      await page.getByRole('region', { name: 'Attention' }).getByText('Everything is paused by you').waitFor();
    }
    assert.equal((await visible(server, 'mastodon', text)).length, 0, 'nothing went out meanwhile');
    await page.getByRole('region', { name: 'Attention' }).getByRole('button', { name: 'Resume' }).click();
    await page.getByText('Everything is paused by you').waitFor({ state: 'detached' });
    await until('it to go out', async () => (await server.api(`/posts/${post.id}`)).state === 'published');
    assert.equal((await visible(server, 'mastodon', text)).length, 1, 'once');
    const { items } = await server.api('/audit');
    assert.deepEqual(items.slice(0, 2).map((a) => [a.action, a.subject]), [['pause.lifted', 'all'], ['pause.added', 'all']]);
    assertQuiet(wrong);
  });

  test('one network is paused: the others go on; a pause of somebody else appears without a reload', async () => {
    await page.goto(`${server.url}/queue`);
    await page.getByText('live', { exact: true }).waitFor();
    await server.api('/pauses', { method: 'POST', body: JSON.stringify({ scope: 'network:mastodon', why: 'they move' }) });
    await page.getByText('Mastodon is paused by a program: they move.').waitFor();
    await page.getByRole('row', { name: /Mastodon/ }).getByText('Covered by a pause: Mastodon').waitFor();
    const text = words('The other way round');
    await sendNow(server, text, ['bluesky', 'mastodon']);
    await until('Bluesky to show it', async () => (await visible(server, 'bluesky', text)).length === 1);
    assert.equal((await visible(server, 'mastodon', text)).length, 0);
    await page.getByRole('button', { name: 'Resume Mastodon', exact: true }).click();
    await page.getByText('Mastodon goes on.').first().waitFor();
    await until('Mastodon to show it', async () => (await visible(server, 'mastodon', text)).length === 1);
    assertQuiet(wrong);
  });

  test('draining says how many first, then cancels exactly those and keeps the posts', async () => {
    const wordpress = await connectionOf(server, 'wordpress');
    await until('what the demo sends now to be out', async () => {
      const lanes = (await server.api('/queue/lanes')).items.filter((lane) => lane.network === 'wordpress');
      const soon = Date.now() + 3_600_000;
      return lanes.every((lane) => lane.waiting + lane.active === 0 && !(Date.parse(lane.nextAt) < soon));
    });
    const mine = [await schedule(server, words('Drained'), nextMonth(0).at, ['wordpress']), await schedule(server, words('Drained'), nextMonth(1).at, ['wordpress'])];
    const other = await schedule(server, words('Kept'), nextMonth(1).at, ['bluesky']);
    await page.goto(`${server.url}/queue`);
    await page.getByRole('button', { name: 'Drain…' }).click();
    await dialog().getByLabel('Delayed: due later').check();
    await dialog().getByLabel('Where').selectOption({ label: `${wordpress.name}, WordPress` });
    await dialog().getByRole('button', { name: 'See what it would take' }).click();
    await dialog().getByText(/^\d+ deliveries would be cancelled/).waitFor();
    const count = Number(/\d+/.exec(await dialog().getByText(/would be cancelled/).innerText())[0]);
    assert.ok(count >= 2);
    assert.equal((await server.api(`/posts/${mine[0].id}`)).state, 'scheduled', 'nothing has happened yet');
    await shot(page, 'drain');
    await dialog().getByRole('button', { name: `Cancel ${count} deliveries` }).click();
    await page.getByText(`${count} deliveries cancelled.`).waitFor();
    for (const { id } of mine) assert.equal((await server.api(`/posts/${id}`)).state, 'cancelled');
    assert.equal((await server.api(`/posts/${other.id}`)).state, 'scheduled');
    assertQuiet(wrong);
  });

  test('a sweep by hand says what it did and stands in the log', async () => {
    await page.goto(`${server.url}/queue`);
    await page.getByRole('button', { name: 'Sweep now' }).click();
    await page.getByText(/^Swept: /).first().waitFor();
    await page.getByRole('table').getByRole('cell', { name: 'person' }).first().waitFor();
    assertQuiet(wrong);
  });

  test('an open circuit is shown with its countdown, and reset by hand', async () => {
    const own = await startServer({ env: { ...QUICK, CARILLON_BREAKER_FAILURES: '2' } });
    const theirs = await browser.open();
    try {
      await signIn(theirs.page, own);
      await theirs.page.goto(`${own.url}/queue`);
      await theirs.page.getByText('live', { exact: true }).waitFor();
      await own.fault('bluesky', 'reset_before_accept', 50);
      const text = words('Against the wall');
      await sendNow(own, text, ['bluesky']);
      await theirs.page.getByText(/^Tries one post in \d/).waitFor({ timeout: 60_000 });
      const said = await theirs.page.getByText(/^Tries one post in/).innerText();
      await until('the countdown to run', async () => (await theirs.page.getByText(/^Tries one post in/).innerText()) !== said);
      await theirs.page.getByRole('row', { name: /Bluesky/ }).getByText('Bluesky failed several times').waitFor();
      await shot(theirs.page, 'circuit-open');
      await own.clearFaults();
      await theirs.page.getByRole('button', { name: 'Reset Bluesky' }).click();
      await theirs.page.getByText(/^Tries one post in/).waitFor({ state: 'detached' });
      const { items } = await own.api('/audit?action=circuit.reset');
      assert.equal(items.length, 1);
      assertQuiet(theirs.wrong);
    } finally {
      await theirs.context.close();
      await own.stop();
    }
  });
});

describe('dead letters', { skip: MOCK && 'the mock has its own' }, () => {
  test('an empty list says what would show up there', async () => {
    await page.goto(`${server.url}/dead-letters?network=wordpress`);
    await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
    const own = await startServer();
    try {
      for (const { id } of (await own.api('/dead-letters')).items) await own.api(`/deliveries/${id}/discard`, { method: 'POST', body: '{}' });
      const theirs = await browser.open();
      await own.api('/pauses', { method: 'POST', body: JSON.stringify({ scope: 'all' }) });
      await signIn(theirs.page, own);
      for (const { id } of (await own.api('/dead-letters')).items) await own.api(`/deliveries/${id}/discard`, { method: 'POST', body: '{}' });
      await theirs.page.goto(`${own.url}/dead-letters`);
      await theirs.page.getByRole('heading', { name: 'No dead letters' }).waitFor();
      await theirs.page.getByText(/shows up here/).waitFor();
      await theirs.context.close();
    } finally {
      await own.stop();
    }
    assertQuiet(wrong);
  });

  test('found by cause, opened with its journal, replayed: live once', async () => {
    const text = words('Lost on the way');
    const dead = await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).waitFor();
    await page.getByRole('navigation', { name: 'Causes' }).getByRole('link', { name: /^Network away/ }).click();
    await page.waitForURL(/cause=transient/);
    await rowOf(text).waitFor();
    await shot(page, 'dead-letters');
    await rowOf(text).getByRole('link').first().click();
    await page.waitForURL(new RegExp(`post=${dead.postId}`));
    await dialog().getByText('Where it goes').waitFor();
    await dialog().getByRole('article').locator('time').first().waitFor();
    await shot(page, 'dead-letter-open');
    await page.goBack();
    await dialog().waitFor({ state: 'detached' });
    await rowOf(text).getByRole('button', { name: /^Replay/ }).click();
    await rowOf(text).waitFor({ state: 'detached' });
    await until('it to be live', async () => (await server.api(`/posts/${dead.postId}`)).state === 'published');
    assert.equal((await visible(server, 'mastodon', text)).length, 1, 'once');
    assertQuiet(wrong);
  });

  test('edited and replayed: the network shows the new text, the post keeps its own', async () => {
    const text = words('Quiz nihgt');
    const dead = await deadLetter(server, text);
    const better = words('Quiz night');
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).getByRole('button', { name: /^More for/ }).click();
    await rowOf(text).getByRole('button', { name: 'Edit and replay…' }).click();
    await dialog().getByRole('textbox').fill(better);
    await shot(page, 'dead-letter-edit');
    await dialog().getByRole('button', { name: 'Replay with this text' }).click();
    await dialog().waitFor({ state: 'detached' });
    await until('it to be live', async () => (await visible(server, 'mastodon', better)).length === 1);
    assert.equal((await visible(server, 'mastodon', text)).length, 0);
    assert.equal((await server.api(`/posts/${dead.postId}`)).text, text);
    assertQuiet(wrong);
  });

  test('a text that the network does not take is refused beside the field', async () => {
    const text = words('Too short');
    await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).getByRole('button', { name: /^More for/ }).click();
    await rowOf(text).getByRole('button', { name: 'Edit and replay…' }).click();
    await dialog().getByRole('textbox').fill('long '.repeat(200));
    await dialog().getByRole('button', { name: 'Replay with this text' }).click();
    await dialog().locator('.wrong').filter({ hasText: '500' }).waitFor();
    assertQuiet(wrong, [/status of 422/]);
  });

  test('marked as posted with its address: published, and nothing is sent', async () => {
    const text = words('By hand');
    const dead = await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).getByRole('button', { name: /^More for/ }).click();
    await rowOf(text).getByRole('button', { name: 'Mark as posted…' }).click();
    await dialog().getByLabel('Address of the post').fill('https://mastodon.example/@anchor/1');
    await dialog().getByRole('button', { name: 'It is posted' }).click();
    await rowOf(text).waitFor({ state: 'detached' });
    const [delivery] = (await server.api(`/posts/${dead.postId}`)).deliveries;
    assert.deepEqual([delivery.state, delivery.remoteUrl], ['published', 'https://mastodon.example/@anchor/1']);
    assert.equal((await visible(server, 'mastodon', text)).length, 0);
    assertQuiet(wrong);
  });

  test('discarded, and taken back: it goes out after all', async () => {
    const text = words('Never mind');
    const dead = await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).getByRole('button', { name: /^More for/ }).click();
    await rowOf(text).getByRole('button', { name: 'Discard' }).click();
    await rowOf(text).waitFor({ state: 'detached' });
    assert.equal((await server.api(`/posts/${dead.postId}`)).state, 'cancelled');
    await page.getByRole('button', { name: 'Undo: send it' }).click();
    await until('it to be live', async () => (await visible(server, 'mastodon', text)).length === 1);
    assertQuiet(wrong);
  });

  test('many at once: what would go out is said first; what is in doubt is left out with its reason', async () => {
    const texts = [words('First of many'), words('Second of many')];
    for (const text of texts) await deadLetter(server, text);
    const unsure = words('Nobody knows');
    const asked = await doubt(server, unsure);
    await page.goto(`${server.url}/dead-letters`);
    for (const text of [...texts, unsure]) await rowOf(text).getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Replay these…' }).click();
    await dialog().getByText('2 deliveries would be sent again.').waitFor();
    await dialog().getByText('1 is left out').waitFor();
    await shot(page, 'replay-many');
    for (const text of texts) assert.equal((await visible(server, 'mastodon', text)).length, 0, 'nothing has happened yet');
    await dialog().getByLabel('Seconds between two at one connection').fill('0');
    await dialog().getByRole('button', { name: 'Replay 2' }).click();
    await dialog().waitFor({ state: 'detached' });
    for (const text of texts) await until(`“${text}” to be live`, async () => (await visible(server, 'mastodon', text)).length === 1);
    assert.equal((await server.api(`/deliveries/${asked.id}`)).state, 'held');
    assert.equal((await visible(server, 'telegram', unsure)).length, 1, 'never a second time');

    await page.goto(`${server.url}/dead-letters?cause=unknown`);
    await rowOf(unsure).waitFor();
    await page.getByRole('button', { name: /^Replay (all|the)/ }).click();
    await dialog().getByText('0 deliveries would be sent again.').waitFor();
    assert.equal(await dialog().getByRole('button', { name: 'Replay', exact: true }).isDisabled(), true);
    assertQuiet(wrong);
  });

  test('by keyboard alone: walk, choose, open, replay', async () => {
    const texts = [words('Keys one'), words('Keys two')];
    for (const text of texts) await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters?cause=transient`);
    await rowOf(texts[1]).waitFor();
    await page.keyboard.press('j');
    assert.equal(await focused(rowOf(texts[1])), true, 'the latest is first');
    await page.keyboard.press('j');
    assert.equal(await focused(rowOf(texts[0])), true);
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await dialog().getByText('Where it goes').waitFor();
    await page.keyboard.press('Escape');
    await dialog().waitFor({ state: 'detached' });
    assert.equal(await focused(rowOf(texts[1])), true, 'the focus is back at its row');
    await page.keyboard.press('r');
    await rowOf(texts[1]).waitFor({ state: 'detached' });
    await until('the focus to go on', () => focused(rowOf(texts[0])));
    await page.keyboard.press('x');
    assert.equal(await rowOf(texts[0]).getByRole('checkbox').isChecked(), true);
    const replay = page.getByRole('button', { name: 'Replay these…' });
    for (let i = 0; i < 12 && !(await focused(replay)); i++) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await dialog().getByText('1 delivery would be sent again.').waitFor();
    const go = dialog().getByRole('button', { name: 'Replay 1' });
    for (let i = 0; i < 12 && !(await focused(go)); i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    for (const text of texts) await until(`“${text}” to be live`, async () => (await visible(server, 'mastodon', text)).length === 1);
    assertQuiet(wrong);
  });
});

describe('needs you', { skip: MOCK && 'the mock loses no answers' }, () => {
  test('the question on the planner and behind the badge: one click each way', async () => {
    const there = await doubt(server, words('It did arrive'));
    const text = words('It did not');
    await server.fault('telegram', 'reset_before_accept');
    const gone = await sendNow(server, text, ['telegram']);
    await until('its question', async () => (await server.api(`/posts/${gone.id}`)).deliveries[0].question);
    const before = (await server.api('/dead-letters?state=held&cause=unknown')).items;
    // Others of this file may be older; answer those through the API.
    for (const d of before) if (![there.id].includes(d.id) && d.postId !== gone.id) await server.api(`/deliveries/${d.id}/answer`, { method: 'POST', body: '{"live":true}' });
    await page.goto(`${server.url}/planner`);
    const needs = page.getByRole('region', { name: 'Needs you' });
    const row = needs.getByRole('listitem').filter({ hasText: 'It did arrive' });
    await row.getByLabel('Address of the post, if you have it').fill('https://t.me/anchor_news/7');
    await shot(page, 'needs-planner');
    await row.getByRole('button', { name: 'It is live', exact: true }).click();
    await row.waitFor({ state: 'detached' });
    const answered = await server.api(`/deliveries/${there.id}`);
    assert.deepEqual([answered.state, answered.remoteUrl], ['published', 'https://t.me/anchor_news/7']);

    await page.getByRole('button', { name: /needs you$/ }).click();
    await shot(page, 'needs-badge');
    await dialog().getByRole('button', { name: 'It is not: send it' }).click();
    await dialog().getByText('Nothing needs you.').waitFor();
    await until('it to go out', async () => (await visible(server, 'telegram', text)).length === 1);
    await until('it to be published', async () => (await server.api(`/posts/${gone.id}`)).state === 'published');
    assertQuiet(wrong);
  });

  test('a refused token raises an alert on every page that leads to the connection', async () => {
    const facebook = await connectionOf(server, 'facebook');
    await page.goto(`${server.url}/planner`);
    await page.getByText('live', { exact: true }).waitFor();
    await server.fault('facebook', 'auth', 50, 'any');
    await sendNow(server, words('No entry'), ['facebook']);
    const band = page.getByRole('region', { name: 'Attention' });
    await band.getByText(facebook.name).first().waitFor({ timeout: 60_000 });
    await shot(page, 'alert');
    await band.getByRole('link', { name: 'Reconnect' }).click();
    await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor();
    await server.clearFaults();
    await server.api(`/connections/${facebook.id}/check`, { method: 'POST' });
    await band.getByText(facebook.name).waitFor({ state: 'detached' });
    assertQuiet(wrong);
  });

  test('the audit trail says who did what, and leads to the post', async () => {
    const text = words('Put away');
    const dead = await deadLetter(server, text);
    await page.goto(`${server.url}/dead-letters`);
    await rowOf(text).getByRole('button', { name: /^More for/ }).click();
    await rowOf(text).getByRole('button', { name: 'Discard' }).click();
    await rowOf(text).waitFor({ state: 'detached' });
    await page.goto(`${server.url}/audit`);
    const line = page.getByRole('listitem').filter({ hasText: 'discarded' }).first();
    await line.getByText('Alex Moor').waitFor();
    await line.getByRole('link', { name: 'discarded' }).click();
    await page.waitForURL(/action=delivery\.discarded/);
    await page.getByRole('link', { name: 'a delivery' }).first().click();
    await page.waitForURL(new RegExp(`/posts/${dead.postId}`));
    assertQuiet(wrong);
  });
});

describe('posts that stand too close', () => {
  test('the composer warns and offers the next free time', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const { at, day } = nextMonth(5);
    await schedule(server, words('There first'), at);
    const form = await openComposer(page);
    await choose(form, bluesky);
    const text = words('Right behind');
    await form.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await form.getByLabel('Day', { exact: true }).fill(day);
    await form.getByLabel('Time', { exact: true }).fill('12:05');
    const instead = form.getByRole('button', { name: /^Use .* instead$/ });
    await instead.waitFor();
    await shot(page, 'composer-collision');
    const name = /Use (\d\d:\d\d) instead/.exec(await instead.innerText())[1];
    await instead.click();
    assert.equal(await form.getByLabel('Time', { exact: true }).inputValue(), name);
    await form.getByText('Nothing in the way.').waitFor();
    await form.getByRole('button', { name: 'Schedule', exact: true }).click();
    await page.getByText(/^Scheduled for/).waitFor();
    assertQuiet(wrong);
  });

  test('“Post anyway” after a refusal sends it at that time', async () => {
    const bluesky = await connectionOf(server, 'bluesky');
    const { at, day } = nextMonth(6);
    await schedule(server, words('There first'), at);
    const form = await openComposer(page);
    await choose(form, bluesky);
    const text = words('All the same');
    await form.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await form.getByLabel('Day', { exact: true }).fill(day);
    await form.getByLabel('Time', { exact: true }).fill('12:10');
    await form.getByRole('button', { name: 'Schedule', exact: true }).click();
    const refusal = form.getByRole('alert');
    await refusal.getByRole('button', { name: 'Post anyway' }).click();
    await page.getByText(/^Scheduled for/).waitFor();
    const { items } = await server.api(`/posts?from=${day}T00:00:00Z&to=${day}T23:59:59Z`);
    assert.equal(items.find((p) => p.text === text).scheduledAt.slice(11, 16), '12:10');
    // A refusal is an answer, not a fault of the page; Chromium logs every 4xx all the same.
    assertQuiet(wrong, [/status of 409/]);
  });
});
