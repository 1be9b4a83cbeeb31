// Files into the library and into a post over a slow line: progress, pause, a server that is killed, a
// page that is loaded again, several at once, and what is refused.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { heavy, png } from '../mock/png.mjs';
import { openComposer, until } from './helpers.mjs';
import { MOCK, assertAccessible, assertQuiet, shot, signIn, startBrowser, startServer } from './support.mjs';

const file = (name, buffer, mimeType = 'image/png') => ({ name, mimeType, buffer });
/** What a browser says of requests that were refused, or that nobody answered. */
const REFUSED = /Failed to load resource/;

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function library(options = {}) {
  const { page, context, wrong } = await browser.open(options);
  await signIn(page, server);
  await page.goto(`${server.url}/media`);
  await page.getByText('live', { exact: true }).waitFor();
  const list = page.getByRole('list', { name: 'Uploads' });
  return { page, context, wrong, list, row: (name) => list.getByRole('listitem').filter({ hasText: name }) };
}

/** So many bytes a second go out; `null`: as many as can. */
async function line(page, bytes) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const rate = bytes ?? -1;
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: rate });
}

const add = (page, ...files) => page.getByLabel('Upload files').last().setInputFiles(files);
/** How much of a file has gone out, in bytes. */
const sent = (page, name) => page.getByRole('progressbar', { name: `Upload of ${name}` }).evaluate((p) => p.value);
const onItsWay = (page, name, bytes) =>
  until(`${bytes} bytes of ${name}`, async () => (await sent(page, name)) >= bytes);

async function original(name) {
  const found = await until(`${name} in the library`, async () => (await server.api('/media')).items.find((m) => m.name === name));
  const answer = await fetch(`${server.url}${found.url}`, { headers: { authorization: `Bearer ${server.apiKey}` } });
  return Buffer.from(await answer.arrayBuffer());
}

describe('the library', () => {
  test('an upload is paused, survives its server’s death, and arrives byte for byte', async () => {
    const { page, context, row, list } = await library();
    const picture = heavy(4_800_000, 1);
    await line(page, 600_000);
    await add(page, file('quay.png', picture));
    await onItsWay(page, 'quay.png', 600_000);
    await page.getByRole('button', { name: 'Pause quay.png' }).click();
    await row('quay.png').getByText('paused').waitFor();
    const at = await sent(page, 'quay.png');
    await page.getByRole('button', { name: 'Resume quay.png' }).click();
    await onItsWay(page, 'quay.png', Math.min(at + 600_000, 2_400_000));
    await server.kill();
    await row('quay.png').getByText('waiting').waitFor();
    await server.start();
    await line(page, null);
    await list.waitFor({ state: 'detached', timeout: 60_000 });
    await page.getByRole('article', { name: 'quay.png' }).waitFor();
    assert.ok((await original('quay.png')).equals(picture), 'the same bytes');
    await context.close();
  });

  test('after a reload the same file goes on where it was', async () => {
    const { page, context, wrong, row, list } = await library();
    const picture = heavy(4_000_000, 2);
    await line(page, 600_000);
    await add(page, file('harbour.png', picture));
    await onItsWay(page, 'harbour.png', 900_000);
    await page.reload();
    await row('harbour.png').getByText('Choose the file again to go on.').waitFor();
    await shot(page, 'uploads-left');
    const offsets = [];
    page.on('request', (request) => {
      if (request.method() === 'PATCH') offsets.push(Number(request.headers()['upload-offset']));
    });
    await line(page, null);
    const stored = await page.evaluate(() => JSON.parse(localStorage.getItem('carillon:uploads')));
    assert.equal(stored.length, 1);
    // Not by setInputFiles, for which every file was changed just now: a file is known by that, too.
    await page.evaluate(
      ([bytes, name, lastModified]) => {
        const input = document.querySelector('input[type=file]');
        const transfer = new DataTransfer();
        const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
        transfer.items.add(new File([data], name, { type: 'image/png', lastModified }));
        input.files = transfer.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
      },
      [picture.toString('base64'), 'harbour.png', stored[0].changed],
    );
    await list.waitFor({ state: 'detached', timeout: 60_000 });
    assert.ok((await original('harbour.png')).equals(picture), 'the same bytes');
    if (!MOCK) assert.ok(offsets[0] > 0, `what had arrived was not sent again: ${offsets}`);
    assertQuiet(wrong);
    await context.close();
  });

  test('several at once; one is cancelled and gone', async () => {
    const { page, context, wrong, row, list } = await library();
    await line(page, 400_000);
    await add(page, ...[1, 2, 3].map((n) => file(`tower-${n}.png`, heavy(2_000_000, n))));
    await onItsWay(page, 'tower-1.png', 1);
    await row('tower-3.png').getByText('waiting').waitFor();
    await page.getByRole('button', { name: 'Cancel tower-2.png' }).click();
    await row('tower-2.png').waitFor({ state: 'detached' });
    await line(page, null);
    await list.waitFor({ state: 'detached', timeout: 60_000 });
    const names = (await server.api('/media')).items.map((m) => m.name);
    assert.ok(names.includes('tower-1.png') && names.includes('tower-3.png') && !names.includes('tower-2.png'), String(names));
    assert.equal(await page.evaluate(() => localStorage.getItem('carillon:uploads')), '[]');
    assertQuiet(wrong);
    await context.close();
  });

  test('what is not taken says why and what to do', { skip: MOCK }, async () => {
    const { page, context, wrong, row } = await library();
    await add(page, file('notes.png', Buffer.from('These are notes, whatever their name says.')), file('huge.png', heavy(6_000_000)));
    await row('notes.png').getByText('is no picture or video that Carillon takes').waitFor();
    await row('huge.png').getByText('larger than the 5 MB a picture may have').waitFor();
    await shot(page, 'uploads-refused');
    await page.getByRole('button', { name: 'Cancel notes.png' }).click();
    await row('notes.png').waitFor({ state: 'detached' });
    assertQuiet(wrong, [REFUSED]);
    await context.close();
  });
});

for (const scheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } })) {
    test(`on their way, ${scheme}, ${size}`, async () => {
      const { page, context, wrong, row } = await library({ ...viewport, scheme });
      await line(page, 300_000);
      await add(page, file('a-rather-long-name-of-a-picture-of-the-quay-at-dawn.png', heavy(3_000_000)), file('loaves.png', heavy(2_000_000)));
      await onItsWay(page, 'loaves.png', 200_000);
      await page.getByRole('button', { name: 'Pause loaves.png' }).click();
      await row('loaves.png').getByText('paused').waitFor();
      await assertAccessible(page, 'uploads');
      await shot(page, `uploads-${scheme}-${size}`);
      for (const name of ['Cancel a-rather', 'Cancel loaves']) await page.getByRole('button', { name: new RegExp(name) }).click();
      await line(page, null);

      const dialog = await openComposer(page);
      await line(page, 300_000);
      await dialog.getByLabel('Add picture').last().setInputFiles(file('bells.png', heavy(3_000_000)));
      await onItsWay(page, 'bells.png', 0.05);
      await dialog.getByRole('button', { name: 'Pause bells.png' }).click();
      await dialog.getByText('paused', { exact: true }).waitFor();
      await assertAccessible(page, 'the composer with an upload');
      await shot(page, `composer-upload-${scheme}-${size}`);
      await line(page, null);
      await dialog.getByRole('button', { name: 'Resume bells.png' }).click();
      await dialog.getByText('ready', { exact: true }).waitFor({ timeout: 60_000 });
      await dialog.getByRole('button', { name: 'Remove bells.png' }).click();
      assertQuiet(wrong);
      await context.close();
    });
  }
}

test('a file dropped on the page is taken', async () => {
  const { page, context, wrong } = await library();
  const bytes = png(320, 200, 9).toString('base64');
  await page.evaluate((coded) => {
    const data = Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([data], 'dropped.png', { type: 'image/png' }));
    document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
  }, bytes);
  await page.getByRole('article', { name: 'dropped.png' }).waitFor();
  assertQuiet(wrong);
  await context.close();
});
