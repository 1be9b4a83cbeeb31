import assert from 'node:assert/strict';
import { createArticle } from 'devto-api';

export const client = 'devto-api';

export async function judge({ fields, ledger }) {
  const article = { title: 'Judged', body_markdown: 'And *found*', published: true, tags: ['bells', 'rope'] };
  const made = await createArticle(article, fields.apiKey);
  assert.ok(made.id);
  assert.deepEqual([made.title, made.slug.startsWith('judged'), made.user.username], ['Judged', true, 'judge']);
  assert.equal((await ledger()).length, 1);
  await assert.rejects(createArticle(article, 'nonsense'), /^Error: 401/);
  await assert.rejects(createArticle({ ...article, title: '' }, fields.apiKey), /^Error: 422/);
  return ['article', '401', '422'];
}
