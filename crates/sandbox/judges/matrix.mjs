import assert from 'node:assert/strict';
import { Direction, MatrixError, createClient } from 'matrix-js-sdk';

export const client = 'matrix-js-sdk';

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => quiet };

export async function judge({ url, fields, picture, ledger }) {
  const as = (accessToken) => createClient({ baseUrl: url, accessToken, userId: '@judge:sandbox', logger: quiet });
  const refuses = (errcode) => (e) => e instanceof MatrixError && e.errcode === errcode;
  const { room } = fields;
  const matrix = as(fields.accessToken);
  assert.ok((await matrix.getVersions()).versions.length > 0);
  assert.equal((await matrix.whoami()).user_id, '@judge:sandbox');
  assert.equal((await matrix.getStateEvent(room, 'm.room.name', '')).name, 'News');
  const { content_uri: uri } = await matrix.uploadContent(picture, { type: 'image/jpeg', name: 'dot.jpg' });
  assert.match(uri, /^mxc:\/\//);
  const image = { msgtype: 'm.image', body: 'Judged', filename: 'dot.jpg', url: uri, info: { mimetype: 'image/jpeg' } };
  const one = await matrix.sendMessage(room, null, image, 't1');
  assert.equal((await matrix.sendMessage(room, null, image, 't1')).event_id, one.event_id);
  const relation = { rel_type: 'm.thread', event_id: one.event_id };
  const reply = await matrix.sendMessage(room, null, { msgtype: 'm.text', body: 'And more', 'm.relates_to': relation }, 't2');
  assert.equal((await matrix.fetchRoomEvent(room, one.event_id)).content.url, uri);
  const { chunk } = await matrix.createMessagesRequest(room, null, 10, Direction.Backward);
  assert.deepEqual(chunk.map((event) => event.event_id), [reply.event_id, one.event_id]);
  assert.deepEqual((await ledger()).map((post) => [post.text, post.media.length]), [['Judged', 1], ['And more', 0]]);
  await matrix.redactEvent(room, one.event_id);
  assert.deepEqual((await matrix.fetchRoomEvent(room, one.event_id)).content, {});
  assert.equal((await ledger()).length, 1);
  const elsewhere = matrix.sendMessage('!notin:sandbox', null, { msgtype: 'm.text', body: 'x' });
  await assert.rejects(elsewhere, refuses('M_FORBIDDEN'));
  await assert.rejects(as('nonsense').whoami(), refuses('M_UNKNOWN_TOKEN'));
  return ['versions', 'whoami', 'state', 'picture', 'send', 'again', 'thread', 'read', 'timeline', 'redact', 'M_FORBIDDEN', 'M_UNKNOWN_TOKEN'];
}
