import assert from 'node:assert/strict';
import GhostAdminAPI from '@tryghost/admin-api';

export const client = '@tryghost/admin-api';

export async function judge({ url, fields, ledger }) {
  const api = (key) => new GhostAdminAPI({ url, key, version: 'v5.0' });
  const ghost = api(fields.adminKey);
  assert.ok((await ghost.site.read()).title);
  const draft = await ghost.posts.add({ title: 'Judged', html: '<p>And found</p>', status: 'draft' }, { source: 'html' });
  assert.equal(draft.status, 'draft');
  assert.equal((await ledger()).length, 0);
  const live = await ghost.posts.edit({ id: draft.id, updated_at: draft.updated_at, status: 'published' });
  assert.equal(live.status, 'published');
  assert.equal((await ledger()).length, 1);
  assert.equal((await ghost.posts.read({ id: draft.id })).title, 'Judged');
  await ghost.posts.delete({ id: draft.id });
  assert.equal((await ledger()).length, 0);
  await assert.rejects(api(`${'0'.repeat(24)}:${'0'.repeat(64)}`).posts.add({ title: 'No' }));
  return ['site', 'draft', 'publish', 'read', 'delete', 'a bad key'];
}
