import assert from 'node:assert/strict';
import { createOAuthAPIClient, createRestAPIClient } from 'masto';

export const client = 'masto';

export async function judge({ url, app, consent, picture, ledger }) {
  const scopes = 'read write';
  const own = await createRestAPIClient({ url }).v1.apps.create({ clientName: 'Judge', redirectUris: app.back, scopes });
  const { clientId, clientSecret } = own;
  const page = new URL('/oauth/authorize', url);
  page.search = new URLSearchParams({ response_type: 'code', client_id: clientId, redirect_uri: app.back, scope: scopes });
  const { code } = await consent(page);
  const grant = { grantType: 'authorization_code', code, clientId, clientSecret, redirectUri: app.back, scope: scopes };
  const { accessToken } = await createOAuthAPIClient({ url }).token.create(grant);
  await assert.rejects(createOAuthAPIClient({ url }).token.create(grant), { statusCode: 400 });
  const masto = createRestAPIClient({ url, accessToken });
  const me = await masto.v1.accounts.verifyCredentials();
  assert.equal(me.username, 'judge');
  const { configuration } = await masto.v2.instance.fetch();
  assert.equal(configuration.statuses.maxCharacters, 500);
  const one = await masto.v1.statuses.create({ status: 'Judged @you@else.example' }, { requestInit: { headers: { 'Idempotency-Key': 'k1' } } });
  const again = await masto.v1.statuses.create({ status: 'Judged @you@else.example' }, { requestInit: { headers: { 'Idempotency-Key': 'k1' } } });
  assert.equal(again.id, one.id);
  const reply = await masto.v1.statuses.create({ status: 'And more', inReplyToId: one.id });
  assert.equal(reply.inReplyToId, one.id);
  const listed = await masto.v1.accounts.$select(me.id).statuses.list({ limit: 40, excludeReblogs: true });
  assert.deepEqual(listed.map((status) => status.id).sort(), [one.id, reply.id].sort());
  const media = await masto.v2.media.create({ file: new Blob([picture], { type: 'image/jpeg' }), description: 'A dot' });
  const shown = await masto.v1.statuses.create({ status: 'Shown', mediaIds: [media.id] });
  assert.equal(shown.mediaAttachments[0].description, 'A dot');
  const poll = { options: ['Rye', 'Oats'], expiresIn: 3600, multiple: true };
  const asked = await masto.v1.statuses.create({ status: 'Which?', poll });
  assert.deepEqual(asked.poll.options.map((option) => option.title), poll.options);
  assert.deepEqual([asked.poll.multiple, asked.poll.expired], [true, false]);
  const kept = await masto.v1.statuses.$select(asked.id).update({ status: 'Which one?', poll });
  assert.equal(kept.poll.id, asked.poll.id);
  const bare = await masto.v1.statuses.$select(asked.id).update({ status: 'None' });
  assert.equal(bare.poll, null);
  await assert.rejects(masto.v1.statuses.create({ status: 'Both', poll, mediaIds: [media.id] }), { statusCode: 422 });
  await assert.rejects(masto.v1.statuses.create({ status: 'One', poll: { ...poll, options: ['Rye'] } }), { statusCode: 422 });
  await masto.v1.statuses.$select(asked.id).remove();
  assert.equal((await ledger()).length, 3);
  await masto.v1.statuses.$select(reply.id).remove();
  assert.equal((await ledger()).length, 2);
  await assert.rejects(createRestAPIClient({ url, accessToken: 'nonsense' }).v1.accounts.verifyCredentials(), { statusCode: 401 });
  return ['app', 'sign in', 'verify', 'instance', 'post', 'idempotency', 'reply', 'list', 'picture', 'poll', 'delete', '401'];
}
