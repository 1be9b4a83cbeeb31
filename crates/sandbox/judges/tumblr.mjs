import assert from 'node:assert/strict';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tumblr from 'tumblr.js';
import { reroute } from './reroute.mjs';

export const client = 'tumblr.js';

export async function judge({ url, fields, picture, ledger }) {
  // It signs as OAuth 1 does, which the sandbox does not speak: without keys it signs nothing, and a token goes along.
  const as = (token) => reroute(url, { authorization: `Bearer ${token}` });
  const { blog } = fields;
  as(fields.accessToken);
  const blogs = tumblr.createClient();
  const { user } = await blogs.userInfo();
  assert.equal(user.name, 'judge');
  // It takes pictures from files.
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-judge-'));
  const file = path.join(folder, 'dot.jpg');
  writeFileSync(file, picture);
  const shown = { type: 'image', media: createReadStream(file), alt_text: 'A dot' };
  const one = await blogs.createPost(blog, { content: [{ type: 'text', text: 'Judged' }, shown], tags: ['bells', 'two words'] });
  rmSync(folder, { recursive: true });
  const draft = await blogs.createPost(blog, { content: [{ type: 'text', text: 'A draft' }], state: 'draft' });
  assert.equal((await ledger()).length, 1);
  await blogs.editPost(blog, draft.id, { content: [{ type: 'text', text: 'A post' }], state: 'published' });
  const { posts } = await blogs.blogPosts(blog, { npf: true });
  assert.deepEqual(posts.map((post) => post.content[0].text), ['A post', 'Judged']);
  assert.deepEqual(posts[1].tags, ['bells', 'two words']);
  assert.equal((await ledger())[0].media[0].alt, 'A dot');
  await blogs.deletePost(blog, one.id);
  assert.equal((await ledger()).length, 1);
  await assert.rejects(blogs.deletePost(blog, one.id), /API error: 404 Not Found/);
  as('nonsense');
  await assert.rejects(blogs.userInfo(), /API error: 401 Unauthorized/);
  return ['me', 'post with picture', 'tags', 'draft', 'publish', 'list', 'delete', '404', '401'];
}
