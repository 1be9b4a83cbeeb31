import assert from 'node:assert/strict';
import { ApiResponseError, TwitterApi } from 'twitter-api-v2';

export const client = 'twitter-api-v2';

const scope = ['tweet.read', 'tweet.write', 'users.read', 'media.write', 'offline.access'];

export async function judge({ app, consent, picture, ledger }) {
  const refuses = (status) => (e) => e instanceof ApiResponseError && e.code === status;
  const ours = new TwitterApi({ clientId: app.id, clientSecret: app.secret });
  const { url, state, codeVerifier } = ours.generateOAuth2AuthLink(app.back, { scope });
  const back = await consent(url);
  assert.equal(back.state, state);
  const login = { code: back.code, codeVerifier, redirectUri: app.back };
  const { refreshToken } = await ours.loginWithOAuth2(login);
  await assert.rejects(ours.loginWithOAuth2(login), refuses(400));
  const { client: x } = await ours.refreshOAuth2Token(refreshToken);
  const { data: me } = await x.v2.me();
  const media = await x.v2.uploadMedia(picture, { media_type: 'image/jpeg' }, 100);
  await x.v2.createMediaMetadata(media, { alt_text: { text: 'A dot' } });
  const { data: one } = await x.v2.tweet('Judged https://example.com/a', { media: { media_ids: [media] } });
  const { data: reply } = await x.v2.reply('And more', one.id);
  const timeline = await x.v2.userTimeline(me.id, { 'tweet.fields': ['created_at', 'referenced_tweets'] });
  assert.deepEqual(timeline.tweets.map((post) => post.id), [reply.id, one.id]);
  assert.equal(timeline.tweets[0].referenced_tweets[0].id, one.id);
  const [shown] = await ledger();
  assert.deepEqual([shown.text, shown.media[0].alt, shown.media[0].bytes], ['Judged https://example.com/a', 'A dot', picture.length]);
  const poll = { options: ['Rye', 'Oats'], duration_minutes: 1440 };
  const { data: asked } = await x.v2.tweet('Which?', { poll });
  const read = await x.v2.singleTweet(asked.id, { expansions: ['attachments.poll_ids'], 'tweet.fields': ['attachments'], 'poll.fields': ['duration_minutes', 'options'] });
  assert.deepEqual(read.data.attachments.poll_ids, [read.includes.polls[0].id]);
  assert.deepEqual(read.includes.polls[0].options.map((option) => option.label), poll.options);
  await assert.rejects(x.v2.tweet('Both', { poll, media: { media_ids: [media] } }), refuses(400));
  await x.v2.deleteTweet(asked.id);
  await x.v2.tweet('Only once');
  await assert.rejects(x.v2.tweet('Only once'), refuses(403));
  assert.equal((await x.v2.deleteTweet(reply.id)).data.deleted, true);
  assert.equal((await ledger()).length, 2);
  await ours.revokeOAuth2Token(x.getActiveTokens().bearerToken);
  await assert.rejects(x.v2.me(), refuses(401));
  return ['sign in with PKCE', 'refresh', 'me', 'picture in pieces', 'alt text', 'post', 'reply', 'timeline', 'poll', 'duplicate', 'delete', 'revoke', '401'];
}
