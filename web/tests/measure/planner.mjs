// A month of 5,000 posts, measured in a browser whose CPU is slowed four times: what is painted and
// when (LCP), what moves by itself (CLS), and how long the page takes to answer clicks and keys (INP).
// And the time that the server takes for the month. Medians of five, printed as a table.
//
//   CARILLON_BIN=… node tests/measure/planner.mjs [--posts 5000] [--rounds 5]

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { cellOf, connectionOf, nextMonth } from '../e2e/helpers.mjs';
import { signIn, startBrowser, startServer } from '../e2e/support.mjs';

const { values } = parseArgs({ options: { posts: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '5' } } });
const [POSTS, ROUNDS] = [Number(values.posts), Number(values.rounds)];
const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
const at = (all, share) => all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * share))];

const server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
const browser = await startBrowser();
try {
  const { month } = nextMonth();
  await fill(month);
  const rows = [];
  for (const [name, options] of [['wide', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
    const rounds = [];
    for (let n = 0; n < ROUNDS; n++) rounds.push(await measure(month, options));
    for (const key of ['lcp', 'cls', 'inp', 'chips']) rows.push([`${name} ${key}`, median(rounds.map((r) => r[key]))]);
  }
  const api = await ask(month);
  rows.push(['API p50 ms', at(api, 0.5)], ['API p99 ms', at(api, 0.99)]);
  console.log(`a month of ${POSTS} posts, CPU slowed 4x, median of ${ROUNDS}`);
  for (const [name, value] of rows) console.log(`${name.padEnd(14)} ${value < 1 ? value.toFixed(3) : Math.round(value)}`);
} finally {
  await browser.close();
  await server.stop();
}

/** The posts, spread over the days and hours of a month. */
async function fill(month) {
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

async function measure(month, options) {
  const { page, context } = await browser.open(options);
  try {
    await signIn(page, server);
    const cdp = await context.newCDPSession(page);
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await page.addInitScript(() => {
      const seen = (window.seen = { lcp: 0, cls: 0, inp: 0 });
      new PerformanceObserver((list) => (seen.lcp = list.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true });
      new PerformanceObserver((list) => {
        for (const e of list.getEntries()) if (!e.hadRecentInput) seen.cls += e.value;
      }).observe({ type: 'layout-shift', buffered: true });
      new PerformanceObserver((list) => {
        for (const e of list.getEntries()) if (e.interactionId) seen.inp = Math.max(seen.inp, e.duration);
      }).observe({ type: 'event', durationThreshold: 16, buffered: true });
    });
    await page.goto(`${server.url}/planner/${options.width < 500 ? 'agenda' : 'month'}/${month}`);
    await page.locator('[data-post]').first().waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    // Legend and grid show all of them.
    await page.locator('.legend b').filter({ hasText: /\d/ }).first().waitFor();
    await page.waitForTimeout(1000);
    const chips = await page.locator('[data-post]').count();
    // Select, walk, open a day's list and close it, change the view and back.
    const chip = page.locator('[data-post]').first();
    await chip.focus();
    for (const key of [' ', 'Shift+ArrowDown', 'Escape', 'w', 'a']) {
      await page.keyboard.press(key);
      await page.waitForTimeout(250);
    }
    if (options.width > 500) {
      await page.keyboard.press('m');
      await cellOf(page, `${month}-10`).getByRole('button', { name: /more$/ }).click();
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
    }
    await page.waitForTimeout(300);
    return { ...(await page.evaluate(() => window.seen)), chips };
  } finally {
    await context.close();
  }
}

/** How long the server takes for the month, a hundred times. */
async function ask(month) {
  const [year, m] = month.split('-').map(Number);
  const to = new Date(Date.UTC(year, m, 1)).toISOString();
  const times = [];
  for (let n = 0; n < 100; n++) {
    const began = performance.now();
    await server.api(`/calendar?from=${month}-01T00:00:00Z&to=${to}`);
    times.push(performance.now() - began);
  }
  return times;
}
