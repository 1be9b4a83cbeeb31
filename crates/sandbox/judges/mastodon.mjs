import assert from 'node:assert/strict';
import { createRestAPIClient } from 'masto';

export const client = 'masto';

export async function judge({ url, ledger }) {
  const masto = createRestAPIClient({ url, accessToken: 'sandbox-judge' });
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
  assert.equal((await ledger()).length, 2);
  await masto.v1.statuses.$select(reply.id).remove();
  assert.equal((await ledger()).length, 1);
  await assert.rejects(createRestAPIClient({ url, accessToken: 'nonsense' }).v1.accounts.verifyCredentials(), { statusCode: 401 });
  return ['verify', 'instance', 'post', 'idempotency', 'reply', 'list', 'delete', '401'];
}
