import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { FacebookAdsApi, Page } = require('facebook-nodejs-business-sdk');

export const client = 'facebook-nodejs-business-sdk';

export async function judge({ url, ledger }) {
  const api = (token) => {
    const made = new FacebookAdsApi(token);
    Object.defineProperty(FacebookAdsApi, 'GRAPH', { value: url, configurable: true });
    return made;
  };
  const page = new Page('judge', {}, undefined, api('sandbox-judge'));
  const read = await page.get(['id', 'name']);
  assert.ok(read.id);
  const post = await page.createFeed([], { message: 'Judged' });
  assert.match(post.id, /_/);
  const feed = await page.getFeed(['id', 'message'], { limit: 25 });
  assert.equal(feed[0].message, 'Judged');
  assert.equal((await ledger()).length, 1);
  await assert.rejects(new Page('judge', {}, undefined, api('nonsense')).get(['id']));
  return ['page', 'post', 'list', 'a bad token'];
}
