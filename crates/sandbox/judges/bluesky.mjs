import assert from 'node:assert/strict';
import { AtpAgent, RichText } from '@atproto/api';

export const client = '@atproto/api';

export async function judge({ url, ledger }) {
  const agent = new AtpAgent({ service: url });
  await agent.login({ identifier: 'judge.test', password: 'sandbox-judge' });
  const text = new RichText({ text: 'Judged 🔔 https://example.com/a #bells' });
  await text.detectFacets(agent);
  const one = await agent.post({ text: text.text, facets: text.facets });
  const ref = { uri: one.uri, cid: one.cid };
  const reply = await agent.post({ text: 'And more', reply: { root: ref, parent: ref } });
  const { data } = await agent.com.atproto.repo.listRecords({ repo: agent.session.did, collection: 'app.bsky.feed.post' });
  assert.deepEqual(data.records.map((record) => record.uri).sort(), [one.uri, reply.uri].sort());
  assert.equal((await ledger()).length, 2);
  await agent.deletePost(reply.uri);
  assert.equal((await ledger()).length, 1);
  await assert.rejects(new AtpAgent({ service: url }).login({ identifier: 'judge.test', password: 'nonsense' }), { status: 401 });
  return ['login', 'facets', 'post', 'reply', 'list', 'delete', '401'];
}
