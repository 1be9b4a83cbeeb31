// A video from a file to what followers see: chosen, looked at, played, described, cut, published.
// What converts it is the server, so that the mock has no part in it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { choose, connectionOf, openComposer, until, words } from './helpers.mjs';
import { assertAccessible, assertQuiet, MOCK, shot, signIn, startBrowser, startServer } from './support.mjs';

/** Four seconds upright, with a tone. */
function film() {
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=360x640:rate=30:duration=4', '-f', 'lavfi', '-i', 'sine=frequency=330:duration=4'];
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov'];
  const made = spawnSync('ffmpeg', ['-nostdin', '-v', 'error', ...source, ...coded, '-'], { maxBuffer: 1 << 26 });
  assert.equal(made.status, 0, `ffmpeg makes a film (scripts/install video): ${made.stderr}`);
  return made.stdout;
}

describe('a video', { skip: MOCK && 'the mock converts nothing' }, () => {
  let server, browser, file;
  before(async () => {
    file = { name: 'gulls.mp4', mimeType: 'video/mp4', buffer: film() };
    server = await startServer({ env: { CARILLON_COLLISION: '0m', CARILLON_DUPLICATE_DAYS: '0' } });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  for (const [scheme, size, viewport] of [
    ['light', 'wide', { width: 1440, height: 900 }],
    ['dark', 'phone', { width: 390, height: 844 }],
  ]) {
    test(`is chosen, played in the preview and published, ${scheme}, ${size}`, async () => {
      const { page, context, wrong } = await browser.open({ ...viewport, scheme });
      await signIn(page, server);
      const text = words('Gulls over the quay');
      const dialog = await openComposer(page);
      await choose(dialog, await connectionOf(server, 'bluesky'), await connectionOf(server, 'mastodon'));
      await dialog.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
      await dialog.getByLabel('Add picture or video').last().setInputFiles(file);
      await dialog.getByText('ready', { exact: true }).waitFor({ timeout: 60_000 });
      await dialog.getByText('0:04').first().waitFor();
      await dialog.getByLabel('Description of gulls.mp4').fill('Gulls that circle over the quay');
      await dialog.getByLabel('Description of gulls.mp4').blur();
      await dialog.getByText('Nothing in the way.').nth(1).waitFor();
      await dialog.getByRole('button', { name: 'Play gulls.mp4' }).click();
      const video = dialog.locator('video');
      await until('the film to play', () => video.evaluate((v) => v.currentTime > 0.2 && v.videoWidth === 360));
      await video.evaluate((v) => v.pause());
      await video.scrollIntoViewIfNeeded();
      await assertAccessible(page, `a video in the composer, ${scheme}`);
      await shot(page, `video-composer-${scheme}-${size}`);
      await dialog.getByRole('button', { name: 'Publish now or save as a draft' }).click();
      await dialog.getByRole('button', { name: 'Publish now', exact: true }).click();
      await dialog.waitFor({ state: 'detached' });
      for (const network of ['bluesky', 'mastodon']) {
        const live = await until(`${network} to show it`, async () => {
          const posts = (await server.ledger(network)).filter((p) => p.text.includes(text) && !p.deleted_at);
          return posts.length > 0 && posts;
        });
        assert.equal(live.length, 1, `${network} shows it once`);
        assert.equal(live[0].media[0].type, 'video');
      }
      await page.goto(`${server.url}/media`);
      const tile = page.getByRole('article', { name: 'gulls.mp4' }).first();
      await tile.getByText('For networks:').first().waitFor();
      await assertAccessible(page, `a video in the library, ${scheme}`);
      await shot(page, `video-library-${scheme}-${size}`);
      assertQuiet(wrong);
      await context.close();
    });
  }

  test('is cut where it stands, and taken from the library for another post', async () => {
    const { page, context, wrong } = await browser.open({ width: 1440, height: 900 });
    await signIn(page, server);
    await page.goto(`${server.url}/media`);
    const tile = page.getByRole('article', { name: 'gulls.mp4' }).first();
    await tile.getByRole('button', { name: 'Play gulls.mp4' }).click();
    const video = tile.locator('video');
    await until('the film to be there', () => video.evaluate((v) => v.readyState >= 2));
    const seek = (at) =>
      video.evaluate(
        (v, at) =>
          new Promise((done) => {
            v.pause();
            v.addEventListener('seeked', done, { once: true });
            v.currentTime = at;
          }),
        at,
      );
    await seek(1);
    await tile.getByRole('button', { name: 'Start here' }).click();
    await tile.getByText('Goes out from 0:01 to 0:04').waitFor();
    await until('it to be ready', async () => !(await tile.innerText()).includes('process'));
    await shot(page, 'video-cut');
    await tile.getByRole('button', { name: 'All of it' }).click();
    await tile.getByText('Goes out from').waitFor({ state: 'detached' });
    await until('it to be ready again', async () => !(await tile.innerText()).includes('process'));
    const dialog = await openComposer(page);
    await dialog.getByRole('button', { name: 'From the library' }).click();
    const library = page.getByRole('dialog', { name: 'From the library' });
    await library.getByRole('button', { name: 'Use gulls.mp4' }).first().waitFor();
    await assertAccessible(page, 'the library in a dialog');
    await shot(page, 'video-from-library');
    await library.getByRole('button', { name: 'Use gulls.mp4' }).first().click();
    await library.waitFor({ state: 'detached' });
    await dialog.getByText('0:04').first().waitFor();
    assertQuiet(wrong);
    await context.close();
  });

  test('a picture is framed around a point, by mouse and by keyboard, or shown whole', async () => {
    for (const [scheme, size, viewport] of [
      ['light', 'wide', { width: 1440, height: 900 }],
      ['dark', 'phone', { width: 390, height: 844 }],
    ]) {
      const { page, context, wrong } = await browser.open({ ...viewport, scheme });
      await signIn(page, server);
      await page.goto(`${server.url}/media`);
      const tile = page.getByRole('article').filter({ has: page.getByRole('button', { name: 'Frame it' }) }).first();
      await tile.getByRole('button', { name: 'Frame it' }).click();
      const dialog = page.getByRole('dialog', { name: 'Frame it' });
      const point = dialog.getByRole('button', { name: /^Point of / });
      const says = (words) => until(words, async () => (await point.getAttribute('aria-label')).includes(words));
      const { width, height } = await point.boundingBox();
      await point.click({ position: { x: width * 0.2, y: height * 0.5 } });
      await says('20 % from the left, 50 % from the top');
      await point.press('ArrowRight');
      await says('25 % from the left');
      await dialog.getByRole('img', { name: '9 to 16' }).waitFor({ timeout: 60_000 });
      await assertAccessible(page, `a picture is framed, ${scheme}`);
      await shot(page, `framing-${scheme}-${size}`);
      await dialog.getByRole('radio', { name: 'Show all of it' }).check();
      await until('it to be saved', async () => (await dialog.locator('.mark').count()) === 0);
      await dialog.getByRole('img', { name: '9 to 16' }).waitFor({ timeout: 60_000 });
      await shot(page, `framing-pad-${scheme}-${size}`);
      assertQuiet(wrong);
      await context.close();
    }
  });

  test('that is no video says why', async () => {
    const { page, context } = await browser.open({ width: 1440, height: 900 });
    await signIn(page, server);
    const dialog = await openComposer(page);
    const half = file.buffer.subarray(0, 600);
    await dialog.getByLabel('Add picture or video').last().setInputFiles({ name: 'half.mp4', mimeType: 'video/mp4', buffer: half });
    await dialog.getByText('The video cannot be used:').waitFor({ timeout: 60_000 });
    await shot(page, 'video-broken');
    await context.close();
  });
});
