import assert from 'node:assert/strict';
import Snoowrap from 'snoowrap';

export const client = 'snoowrap';

const userAgent = 'linux:example.carillon.judge:1.0 (by /u/judge)';
const scope = ['identity', 'submit', 'edit', 'read', 'history'];

export async function judge({ app, consent, fields, ledger }) {
  const { id: clientId, secret: clientSecret, back: redirectUri } = app;
  const { code, state } = await consent(Snoowrap.getAuthUrl({ clientId, scope, redirectUri, state: 's1' }));
  assert.equal(state, 's1');
  const grant = { code, userAgent, clientId, clientSecret, redirectUri };
  const { refreshToken } = await Snoowrap.fromAuthCode(grant);
  await assert.rejects(Snoowrap.fromAuthCode(grant), /^Error: API Error: invalid_grant/);
  const reddit = new Snoowrap({ userAgent, clientId, clientSecret, refreshToken });
  const { name } = await reddit.getMe();
  assert.equal(name, 'judge');
  const subredditName = fields.subreddit;
  const one = await reddit.submitSelfpost({ subredditName, title: 'Judged <1>', text: 'And *found* & more' });
  const link = await reddit.submitLink({ subredditName, title: 'A link', url: 'https://example.com/a?b=c&d=e' });
  const comment = await one.reply('And more');
  assert.equal(comment.parent_id, one.name);
  const listed = await reddit.getUser(name).getSubmissions();
  assert.deepEqual(Array.from(listed, (post) => [post.name, post.title]), [[link.name, 'A link'], [one.name, 'Judged <1>']]);
  assert.equal(listed[1].selftext, 'And *found* & more');
  assert.equal((await ledger()).length, 3);
  await comment.delete();
  await link.delete();
  assert.equal((await ledger()).length, 1);
  const nowhere = { subredditName: 'nosuch_place', title: 'No', text: '' };
  await assert.rejects(async () => reddit.submitSelfpost(nowhere), /SUBREDDIT_NOEXIST/);
  const stranger = new Snoowrap({ userAgent, accessToken: 'nonsense' });
  await assert.rejects(async () => stranger.getMe(), { statusCode: 401 });
  return ['sign in', 'a used code', 'refresh', 'me', 'text', 'link', 'comment', 'list', 'delete', 'SUBREDDIT_NOEXIST', '401'];
}
