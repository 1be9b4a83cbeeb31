// Every page and dialog, light and dark, wide and narrow: accessible, no sideways scrolling, nothing
// that jumps. Leaves screenshots in shots/; with SHOTS_README=1 also the pictures of the README.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { png } from '../mock/png.mjs';
import { allPosts, choose, connectionOf, openComposer, until } from './helpers.mjs';
import { assertAccessible, assertQuiet, drawn, shot, signIn, startBrowser, startServer } from './support.mjs';

let server, browser;
before(async () => {
  // The demo's posts lie around now: what is near them depends on the time of day.
  server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0', ENABLE_CONNECTION_DIAGNOSTICS: 'true' } });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const WIDTHS = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const TEXT = 'Rye from the new mill: darker, a little sour, baked every Tuesday. Come early, last week it was gone by nine.';

for (const scheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(WIDTHS)) {
    describe(`${scheme}, ${size}`, () => {
      let page, context, wrong;
      before(async () => {
        ({ page, context, wrong } = await browser.open({ ...viewport, scheme }));
        await signIn(page, server);
      });
      after(async () => {
        await context?.close();
      });
      const look = async (name) => {
        await assertAccessible(page, name);
        await assertNoSidewaysScroll(page, name);
        await shot(page, `${name}-${scheme}-${size}`);
        assertQuiet(wrong);
      };

      test('planner', async () => {
        await page.goto(`${server.url}/planner`);
        await page.locator('[data-post]').first().waitFor();
        await look('planner');
      });
      test('the planner’s week, agenda, filters and palette', async () => {
        for (const view of ['week', 'agenda']) {
          await page.goto(`${server.url}/planner/${view}`);
          await page.locator('[data-post]').first().waitFor();
          await look(`planner-${view}`);
        }
        await page.getByRole('button', { name: 'Filter posts' }).click();
        await page.getByLabel('Words').waitFor();
        await look('planner-filter');
        await page.keyboard.press('Escape');
        await page.goto(`${server.url}/planner/agenda?text=nothing+says+this`);
        await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
        await look('planner-none');
        await page.keyboard.press('Control+k');
        await page.getByRole('option').first().waitFor();
        await look('palette');
        await page.keyboard.press('Escape');
      });
      test('an empty month', async () => {
        await page.goto(`${server.url}/planner/${size === 'wide' ? 'month' : 'agenda'}/2031-01`);
        await page.getByText('Nothing planned').waitFor();
        await look('empty');
      });
      test('panel with its journal', async () => {
        const told = await until('a post with a story', async () => {
          const posts = await allPosts(server);
          return posts.find((p) => p.deliveries.some((d) => d.problem));
        });
        await page.goto(`${server.url}/posts/${told.id}`);
        const panel = page.getByRole('dialog');
        await panel.getByText('Where it goes').waitFor();
        const journal = panel.getByText('Journal').first();
        if (!(await panel.locator('details[open]').count())) await journal.click();
        await panel.locator('details[open] time').first().waitFor();
        await look('panel');
      });
      test('composer', async () => {
        await page.goto(`${server.url}/planner`);
        await page.getByText('live', { exact: true }).waitFor();
        const dialog = await openComposer(page);
        await choose(dialog, await connectionOf(server, 'bluesky'), await connectionOf(server, 'mastodon'));
        await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(TEXT);
        await dialog.getByText('Nothing in the way.').nth(1).waitFor();
        await look('composer');
        await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
        await look('composer-menu');
        await page.keyboard.press('Escape');
        assert.equal(await dialog.isVisible(), true, 'Escape closes the menu first');
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'detached' });
      });
      test('connections and the form to add one', async () => {
        await page.goto(`${server.url}/connections`);
        await page.getByRole('article').first().waitFor();
        await look('connections');
        await page.getByRole('button', { name: 'Add connection' }).click();
        const dialog = page.getByRole('dialog', { name: 'Add connection' });
        await dialog.getByRole('radio', { name: 'Mastodon' }).check();
        await look('connection-add');
      });
      test('apps', async () => {
        await page.goto(`${server.url}/apps`);
        await page.getByRole('article').first().waitFor();
        await look('apps');
      });
      test('queue, pausing and draining', async () => {
        await page.goto(`${server.url}/queue`);
        await page.getByRole('table', { name: 'Lanes' }).getByRole('row').nth(1).waitFor();
        await look('queue');
        await page.getByRole('button', { name: 'Drain…' }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByLabel('Delayed: due later').check();
        await dialog.getByRole('button', { name: 'See what it would take' }).click();
        await dialog.getByText('would be cancelled').waitFor();
        await look('queue-drain');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Pause…' }).click();
        await dialog.getByLabel('What to pause').selectOption({ label: 'Media processing' });
        await dialog.getByLabel('Reason').fill('The disk is being changed');
        await look('queue-pause');
        await dialog.getByRole('button', { name: 'Pause: Media processing' }).click();
        await page.getByText('Media processing is paused by you').waitFor();
        await look('queue-paused');
        await page.goto(`${server.url}/planner`);
        await page.getByRole('region', { name: 'Attention' }).getByText('Media processing is paused').waitFor();
        await look('planner-paused');
        await page.getByRole('region', { name: 'Attention' }).getByRole('button', { name: 'Resume' }).click();
        await page.getByText('Media processing is paused').waitFor({ state: 'detached' });
      });
      test('dead letters with their menu and dialogs', async () => {
        await until('a dead letter', async () => (await server.api('/dead-letters')).total > 0);
        await page.goto(`${server.url}/dead-letters`);
        const list = page.getByRole('list', { name: 'Dead letters' });
        await list.getByRole('listitem').first().waitFor();
        await look('dead-letters');
        await list.getByRole('button', { name: /^More for/ }).first().click();
        await look('dead-letters-menu');
        await list.getByRole('button', { name: 'Mark as posted…' }).first().click();
        await look('dead-letters-posted');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: /^Replay (it|all)/ }).click();
        await page.getByText('would be sent again').waitFor();
        await look('dead-letters-replay');
        await page.keyboard.press('Escape');
        await list.getByRole('link').first().click();
        await page.getByRole('dialog').getByText('Where it goes').waitFor();
        await look('dead-letters-panel');
        await page.goto(`${server.url}/dead-letters?cause=quota`);
        await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
        await look('dead-letters-none');
      });
      test('audit trail and what needs you', async () => {
        await page.goto(`${server.url}/audit`);
        await page.getByRole('listitem').filter({ hasText: 'paused' }).first().waitFor();
        await look('audit');
        await page.getByRole('button', { name: /needs? you$/ }).click();
        await page.getByRole('dialog', { name: 'Needs you' }).waitFor();
        await look('needs');
      });
      test('media, help, account menu, unknown address', async () => {
        await page.goto(`${server.url}/media`);
        await page.getByRole('heading', { level: 1, name: 'Media' }).waitFor();
        await look('media');
        await page.keyboard.press('?');
        await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
        await look('help');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Account and settings' }).click();
        await look('account');
      });
    });
  }
}

test('in a language with 40 % more letters nothing scrolls sideways, and nothing is left in English', async () => {
  for (const width of [320, 390, 1440]) {
    const { page, context, wrong } = await browser.open({ width, height: 800 });
    await signIn(page, server);
    await page.evaluate(() => localStorage.setItem('carillon.language', 'pseudo'));
    for (const path of ['/planner/month', '/planner/week', '/planner/agenda', '/connections', '/connections/diagnostics', '/campaigns', '/media', '/queue', '/dead-letters', '/apps', '/audit', '/nowhere']) {
      await page.goto(server.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.getByText(/^\[lívé/).waitFor();
      await assertNoSidewaysScroll(page, `${path} at ${width} in the pseudo language`);
      const plain = await page.locator('main :is(button, h2, label, th)').filter({ hasText: /^(Add|Save|Close|Cancel|Filter|Pause|Connection|Next)$/ }).count();
      assert.equal(plain, 0, `${path}: words that were never translated`);
    }
    await shot(page, `pseudo-${width}`);
    assertQuiet(wrong);
    await context.close();
  }
});

test('at 320 px and at 200 % nothing scrolls sideways', async () => {
  for (const viewport of [{ width: 320, height: 640 }, { width: 720, height: 450, deviceScaleFactor: 2 }]) {
    const { page, context, wrong } = await browser.open(viewport);
    await signIn(page, server);
    for (const path of ['/planner', '/planner/week', '/planner/month', '/connections', '/campaigns', '/media', '/queue', '/dead-letters', '/audit']) {
      await page.goto(server.url + path);
      await page.getByText('live', { exact: true }).waitFor();
      await assertNoSidewaysScroll(page, `${path} at ${viewport.width}`);
    }
    assertQuiet(wrong);
    await context.close();
  }
});

test('the header and the bar at the foot have room at every width', async () => {
  const { page, context, wrong } = await browser.open();
  await signIn(page, server);
  for (const width of [320, 390, 600, 761, 900, 921, 1024, 1081, 1181, 1280, 1366, 1440, 1501, 1701, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForFunction((w) => innerWidth === w, width);
    const tight = await page.evaluate(() =>
      [...document.querySelectorAll('.top, .top *, .foot-bar, .foot-bar *')]
        .filter((e) => e.checkVisibility() && getComputedStyle(e).position !== 'absolute')
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 || (e.matches('.nav > a, .stamp, .needs') && e.getClientRects()[0].height > 64))
        .map((e) => e.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(tight, [], `at ${width} px`);
    const [links, end] = await page.evaluate(() => ['.top > .nav', '.top-end'].map((s) => document.querySelector(s).getBoundingClientRect()).map((r) => ({ left: r.left, right: r.right })));
    assert.ok(width <= 920 || links.right <= end.left, `the links end at ${links.right}, the rest begins at ${end.left}, at ${width} px`);
  }
  assertQuiet(wrong);
  await context.close();
});

test('loading moves nothing: layout shift at most 0.02', async () => {
  for (const viewport of Object.values(WIDTHS)) {
    const { page, context } = await browser.open(viewport);
    await signIn(page, server);
    for (const path of ['/planner', '/planner/week', '/connections', '/queue', '/dead-letters']) {
      await page.goto(server.url + path);
      await page.getByText('live', { exact: true }).waitFor();
      await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => null);
      const shift = await page.evaluate(
        () =>
          new Promise((resolve) => {
            let sum = 0;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
            }).observe({ type: 'layout-shift', buffered: true });
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
          }),
      );
      assert.ok(shift <= 0.02, `${path} at ${viewport.width} px shifts by ${shift.toFixed(3)}`);
    }
    await context.close();
  }
});

if (process.env.SHOTS_README === '1') {
  test('the pictures of the README', async () => {
    const folder = new URL('../../../docs/images/', import.meta.url).pathname;
    mkdirSync(folder, { recursive: true });
    const { page, context } = await browser.open(WIDTHS.wide);
    await signIn(page, server);
    // Today's posts of the demo are on their way for a few seconds.
    await until('quiet', async () => (await allPosts(server)).every((p) => p.state !== 'publishing' && Date.parse(p.scheduledAt) > Date.now() === ['scheduled', 'draft'].includes(p.state)), 120_000);
    await page.reload();
    await page.getByText('live', { exact: true }).waitFor();
    await drawn(page);
    await page.screenshot({ path: `${folder}planner.png` });
    const dialog = await openComposer(page);
    await choose(dialog, await connectionOf(server, 'bluesky'), await connectionOf(server, 'mastodon'));
    await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(
      'The sun goes down at four and the stove is lit at three. Come in, it is warm, and the soup is on.\n\nhttps://the-anchor.example/winter',
    );
    await dialog.getByLabel('Add picture').last().setInputFiles({ name: 'harbour-at-four.png', mimeType: 'image/png', buffer: png(1200, 900, 5) });
    await dialog.getByText('ready', { exact: true }).waitFor();
    await dialog.getByLabel('Description of harbour-at-four.png').fill('A pale sun over the violet harbour');
    await dialog.getByText('Nothing in the way.').nth(1).waitFor();
    await dialog.getByLabel('Description of harbour-at-four.png').blur();
    await drawn(page);
    await page.screenshot({ path: `${folder}composer.png` });
    await context.close();
  });
}

async function assertNoSidewaysScroll(page, what) {
  const { over, by } = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width).map((e) => e.outerHTML.slice(0, 120));
    return { over: document.documentElement.scrollWidth - width, by: wide };
  });
  assert.ok(over <= 0, `${what} is ${over} px too wide: ${by.slice(0, 4).join(' | ')}`);
}
