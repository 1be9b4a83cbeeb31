import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { FacebookAdsApi, Page, Post } = require('facebook-nodejs-business-sdk');

export const client = 'facebook-nodejs-business-sdk';

export async function judge({ pictureUrl, ledger }) {
  const api = new FacebookAdsApi('sandbox-judge');
  const page = new Page('judge', {}, undefined, api);
  const read = await page.get(['id', 'name']);
  assert.ok(read.id);
  const post = await page.createFeed([], { message: 'Judged' });
  assert.match(post.id, /_/);
  const photo = await page.createPhoto([], { url: pictureUrl, caption: 'A dot' });
  const feed = await page.getFeed(['id', 'message'], { limit: 25 });
  assert.deepEqual(feed.map((one) => [one.id, one.message]), [[photo.post_id, 'A dot'], [post.id, 'Judged']]);
  assert.deepEqual((await ledger()).map((one) => [one.text, one.media.length]), [['Judged', 0], ['A dot', 1]]);
  assert.equal((await new Post(post.id, {}, undefined, api).delete()).success, true);
  assert.equal((await ledger()).length, 1);
  const stranger = new Page('judge', {}, undefined, new FacebookAdsApi('nonsense'));
  await assert.rejects(stranger.get(['id']), (e) => e.status === 400 && e.response.code === 190);
  return ['page', 'post', 'photo', 'list', 'delete', '190'];
}
