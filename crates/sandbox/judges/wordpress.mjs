import assert from 'node:assert/strict';
import WPAPI from 'wpapi';

export const client = 'wpapi';

export async function judge({ url, ledger }) {
  const site = new WPAPI({ endpoint: `${url}/wp-json`, username: 'judge', password: 'sandbox-judge', auth: true });
  const me = await site.users().me().context('edit');
  assert.ok(me.id);
  const draft = await site.posts().create({ title: 'Judged', content: '<p>And found</p>', status: 'draft' });
  assert.equal(draft.status, 'draft');
  assert.equal((await ledger()).length, 0);
  const live = await site.posts().id(draft.id).update({ status: 'publish' });
  assert.equal(live.status, 'publish');
  assert.equal((await ledger()).length, 1);
  const listed = await site.posts().status('publish').perPage(10);
  assert.deepEqual(listed.map((post) => post.id), [draft.id]);
  const gone = await site.posts().id(draft.id).delete({ force: true });
  assert.equal(gone.deleted, true);
  assert.equal((await ledger()).length, 0);
  return ['me', 'draft', 'publish', 'list', 'delete'];
}
