// A month of thousands of posts in a browser whose CPU is slowed four times, beside a page of React
// and FullCalendar with the same posts: what is painted and when (LCP), what moves by itself (CLS),
// how long a page takes to answer clicks and keys (INP). And how long the server takes for the month.
// One line of JSON for each round; `make bench ARGS=planner` makes the table of them.
//
//   CARILLON_BIN=… node tests/measure/planner.mjs [--posts 5000] [--rounds 5] [--pages none]

import { request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { serve } from '../../../bench/peers/planner/serve.mjs';
import { cellOf, connectionOf, nextMonth } from '../e2e/helpers.mjs';
import { signIn, startBrowser, startServer } from '../e2e/support.mjs';

const { values } = parseArgs({
  options: { posts: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '5' }, pages: { type: 'string', default: 'ours,peer' } },
});
const [POSTS, ROUNDS] = [Number(values.posts), Number(values.rounds)];
const pages = values.pages.split(',').filter((p) => p === 'ours' || p === 'peer');
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const { month } = nextMonth();

const server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
const browser = await startBrowser();
const peer = pages.includes('peer') ? await serve({ api: server.url, key: server.apiKey }) : null;
try {
  await fill();
  for (let round = 0; round < ROUNDS; round++) {
    // In turn, so that neither has the better half of the run.
    for (const who of round % 2 ? pages.toReversed() : pages) {
      for (const [size, options] of Object.entries(SIZES)) tell({ round, who, size, ...(await measure(who, options)) });
    }
    tell({ round, api: await ask() });
  }
} finally {
  peer?.stop();
  await browser.close();
  await server.stop();
}

function tell(line) {
  console.log(JSON.stringify(line));
}

/** The posts, spread over the days and hours of a month. */
async function fill() {
  const to = [(await connectionOf(server, 'bluesky')).id, (await connectionOf(server, 'mastodon')).id];
  const start = Date.parse(`${month}-01T00:00:00Z`);
  const body = (n) => ({
    text: `Post ${n}: what is baked today, and when the shop opens.`,
    media: [],
    scheduledAt: new Date(start + Math.floor((n / POSTS) * 28 * 86_400) * 1000).toISOString(),
    timezone: 'Europe/London',
    deliveries: to.map((connectionId) => ({ connectionId })),
  });
  for (let n = 0; n < POSTS; n += 20) {
    await Promise.all(Array.from({ length: Math.min(20, POSTS - n) }, (_, i) => server.api('/posts', { method: 'POST', body: JSON.stringify(body(n + i)) })));
  }
}

async function measure(who, options) {
  const { page, context } = await browser.open(options);
  try {
    if (who === 'ours') await signIn(page, server);
    const cdp = await context.newCDPSession(page);
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await page.addInitScript(() => {
      const seen = (window.seen = { lcp: 0, cls: 0, inp: 0, moved: [], steps: {}, step: 'load' });
      const nameOf = (node) => (node?.nodeType === 1 ? `${node.localName}.${node.getAttribute('class')}` : `${node?.parentElement?.localName ?? ''} text`);
      new PerformanceObserver((list) => (seen.lcp = list.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true });
      new PerformanceObserver((list) => {
        for (const e of list.getEntries()) {
          if (e.hadRecentInput) continue;
          seen.cls += e.value;
          seen.moved.push({ by: e.value, what: e.sources.map((s) => nameOf(s.node)) });
        }
      }).observe({ type: 'layout-shift', buffered: true });
      new PerformanceObserver((list) => {
        for (const e of list.getEntries()) {
          if (!e.interactionId) continue;
          seen.inp = Math.max(seen.inp, e.duration);
          seen.steps[seen.step] = Math.max(seen.steps[seen.step] ?? 0, e.duration);
        }
      }).observe({ type: 'event', durationThreshold: 16, buffered: true });
    });
    await (who === 'ours' ? ours(page, options) : theirs(page, options));
    await settled(page);
    return await page.evaluate(() => window.seen);
  } finally {
    await context.close();
  }
}

/** KB of the scripts, as they were sent, once the calendar stands. */
async function loaded(page) {
  await page.evaluate(() => {
    const scripts = performance.getEntriesByType('resource').filter((r) => new URL(r.name).pathname.endsWith('.js'));
    window.seen.js = scripts.reduce((sum, r) => sum + r.encodedBodySize, 0) / 1024;
  });
}

/** What the input led to stands, as for a person who looks before they press again: nothing has changed for a fifth of a second. */
async function settled(page) {
  await page.evaluate(
    () =>
      new Promise((done) => {
        let quiet;
        const observer = new MutationObserver(() => wait());
        const wait = () => {
          clearTimeout(quiet);
          quiet = setTimeout(() => {
            observer.disconnect();
            requestAnimationFrame(() => setTimeout(done));
          }, 200);
        };
        observer.observe(document, { subtree: true, childList: true, attributes: true });
        wait();
      }),
  );
}

/** One thing that a person does; its slowest answer is told under its name. */
async function step(page, name, act) {
  await page.evaluate((name) => (window.seen.step = name), name);
  await act();
  await settled(page);
}

/** Opens a post and closes it, a day's list too, changes to the week and back, turns the month and back. */
async function ours(page, { width }) {
  const phone = width < 500;
  await page.goto(`${server.url}/planner/${phone ? 'agenda' : 'month'}/${month}`);
  const first = page.locator('[data-post]').first();
  await first.waitFor();
  // Legend and calendar show all of them.
  await page.locator('.legend b').filter({ hasText: /\d/ }).first().waitFor();
  await settled(page);
  await loaded(page);
  const dialog = page.getByRole('dialog');
  const close = async () => {
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  };
  await step(page, 'post opened', async () => {
    await first.click();
    await dialog.waitFor();
  });
  await step(page, 'post closed', close);
  if (!phone) {
    // What more there is of a day shows in its place, or, where that is much, in a dialog.
    await step(page, 'day opened', () => cellOf(page, `${month}-10`).getByRole('button', { name: /more$/ }).click());
    if (await dialog.count()) await step(page, 'day closed', close);
  }
  for (const key of phone ? ['w', 'a'] : ['w', 'm']) {
    const view = { w: 'week', a: 'agenda', m: 'month' }[key];
    await step(page, view, async () => {
      await page.keyboard.press(key);
      await page.waitForURL(new RegExp(`/planner/${view}`));
      await first.waitFor();
    });
  }
  for (const [name, way] of [['next month', 'last'], ['month before', 'first']]) {
    await step(page, name, () => page.locator('a[data-turn]')[way]().click());
  }
}

async function theirs(page, { width }) {
  const phone = width < 500;
  await page.goto(`${peer.url}/?month=${month}`);
  await page.locator('body[data-posts]').waitFor();
  // Where a day has little width, the words of a post are hidden: its box is what is pressed.
  const first = page.locator('[role="button"][style*="--fc-event-color"]').first();
  const dialog = page.getByRole('dialog');
  await first.waitFor();
  await settled(page);
  await loaded(page);
  await step(page, 'post opened', async () => {
    await first.click();
    await dialog.waitFor();
  });
  await step(page, 'post closed', async () => {
    await page.getByRole('button', { name: 'Close' }).last().click();
    await dialog.waitFor({ state: 'detached' });
  });
  if (!phone) {
    await step(page, 'day opened', async () => {
      await page.getByText(/^\+\d+ more$/).nth(9).click();
      await dialog.waitFor();
    });
    await step(page, 'day closed', () => page.keyboard.press('Escape'));
  }
  for (const name of phone ? ['week', 'list'] : ['week', 'month']) {
    await step(page, name, async () => {
      await page.getByText(new RegExp(`^${name}$`, 'i')).first().click();
      await first.waitFor();
    });
  }
  for (const [name, label] of [['next month', /next/i], ['month before', /prev/i]]) {
    await step(page, name, () => page.getByRole('button', { name: label }).first().click());
  }
}

/** ms until the whole answer for the month is here, a hundred times, each over a connection of its own; reading it is the client's time. */
async function ask() {
  const [year, m] = month.split('-').map(Number);
  const to = new Date(Date.UTC(year, m, 1)).toISOString();
  const path = `/calendar?from=${month}-01T00:00:00Z&to=${to}`;
  const { items } = await server.api(path);
  if (items.length < POSTS) throw new Error(`${items.length} of ${POSTS} posts came`);
  const times = [];
  for (let n = 0; n < 100; n++) {
    const began = performance.now();
    await new Promise((done, fail) => {
      const asked = request(`${server.url}/api/v1${path}`, { headers: { authorization: `Bearer ${server.apiKey}` } }, (answer) => {
        if (answer.statusCode !== 200) fail(new Error(`the server answers ${answer.statusCode}`));
        answer.resume().on('end', done).on('error', fail);
      });
      asked.on('error', fail).end();
    });
    times.push(performance.now() - began);
  }
  return times;
}
