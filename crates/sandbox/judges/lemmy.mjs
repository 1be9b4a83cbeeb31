import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { LemmyHttp } from 'lemmy-js-client';

export const client = 'lemmy-js-client';

/** Is everything there that the library's own type of this name demands? It reads answers without looking. */
function fits(type, value, at = type) {
  const text = readFileSync(new URL(`node_modules/lemmy-js-client/dist/types/${type}.d.ts`, import.meta.url), 'utf8');
  const [, body] = text.match(/export interface \w+ \{([^]*)\}/) ?? [];
  for (const [, name, optional, kind] of body?.matchAll(/^ {4}(\w+)(\??): ([^;]+);/gm) ?? []) {
    const inside = `${at}.${name}`;
    if (value[name] === undefined && optional) continue;
    assert.notEqual(value[name], undefined, `${inside} is missing`);
    const [, item] = kind.match(/^Array<(\w+)>$/) ?? [];
    if (item) value[name].forEach((one) => fits(item, one, `${inside}[]`));
    else if (['string', 'number', 'boolean'].includes(kind)) assert.equal(typeof value[name], kind, inside);
    else fits(kind, value[name], inside);
  }
}

export async function judge({ url, fields, picture, ledger }) {
  const lemmy = new LemmyHttp(url);
  const log = { username_or_email: fields.username, password: fields.password };
  await assert.rejects(lemmy.login({ ...log, password: 'nonsense' }), /^Error: incorrect_login$/);
  const session = await lemmy.login(log);
  fits('LoginResponse', session);
  lemmy.setHeaders({ Authorization: `Bearer ${session.jwt}` });
  assert.equal((await lemmy.getSite()).my_user.local_user_view.person.name, 'judge');
  const bakery = await lemmy.getCommunity({ name: fields.community });
  fits('GetCommunityResponse', bakery);
  const image = await lemmy.uploadImage({ image: picture });
  assert.equal(image.msg, 'ok');
  const seen = await fetch(image.url);
  assert.equal(Buffer.from(await seen.arrayBuffer()).compare(picture), 0);
  const community_id = bakery.community_view.community.id;
  const made = await lemmy.createPost({ community_id, name: 'Judged', body: 'And *found*', url: image.url, alt_text: 'A dot' });
  fits('PostResponse', made);
  const { id } = made.post_view.post;
  fits('GetPostResponse', await lemmy.getPost({ id }));
  const person = await lemmy.getPersonDetails({ username: fields.username, sort: 'New', limit: 10 });
  fits('GetPersonDetailsResponse', person);
  assert.deepEqual(person.posts.map((view) => view.post.id), [id]);
  assert.deepEqual((await ledger()).map((post) => [post.text, post.media[0].alt]), [['Judged\n\nAnd *found*', 'A dot']]);
  const gone = await lemmy.deletePost({ post_id: id, deleted: true });
  assert.equal(gone.post_view.post.deleted, true);
  assert.equal((await ledger()).length, 0);
  await assert.rejects(lemmy.createPost({ community_id, name: 'x' }), /^Error: invalid_post_title$/);
  await lemmy.logout();
  await assert.rejects(lemmy.createPost({ community_id, name: 'Out' }), /^Error: incorrect_login$/);
  return ['login', 'site', 'community', 'picture', 'post', 'read', 'list', 'delete', 'invalid_post_title', 'incorrect_login'];
}
