import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { FacebookAdsApi, IGMedia, IGUser } = require('facebook-nodejs-business-sdk');

export const client = 'facebook-nodejs-business-sdk';

export async function judge({ fields, pictureUrl, until, ledger }) {
  const api = new FacebookAdsApi(fields.accessToken);
  const user = new IGUser(fields.igBusinessId, {}, undefined, api);
  assert.equal((await user.get(['id', 'username'])).username, 'judge');
  const container = await user.createMedia([], { image_url: pictureUrl, caption: 'Judged #bells', alt_text: 'A dot' });
  const early = user.createMediaPublish([], { creation_id: container.id });
  await assert.rejects(early, (e) => e.status === 400 && e.response.code === 9007);
  const node = (id) => new IGMedia(id, {}, undefined, api);
  await until(async () => (await node(container.id).get(['status_code'])).status_code === 'FINISHED');
  const media = await user.createMediaPublish([], { creation_id: container.id });
  const [listed] = await user.getMedia(['id', 'caption', 'media_type', 'permalink'], { limit: 5 });
  assert.deepEqual([listed.id, listed.caption, listed.media_type], [media.id, 'Judged #bells', 'IMAGE']);
  const [limit] = await user.getContentPublishingLimit(['quota_usage', 'config']);
  assert.deepEqual([limit.quota_usage, limit.config.quota_total], [1, 100]);
  assert.deepEqual((await ledger()).map((post) => [post.text, post.media[0].alt]), [['Judged #bells', 'A dot']]);
  await node(media.id).delete();
  assert.equal((await ledger()).length, 0);
  const stranger = new IGUser(fields.igBusinessId, {}, undefined, new FacebookAdsApi('nonsense'));
  await assert.rejects(stranger.get(['id']), (e) => e.response.code === 190);
  return ['user', 'container', '9007', 'publish', 'list', 'limit', 'delete', '190'];
}
