import assert from 'node:assert/strict';
import { LogLevel, WebClient } from '@slack/web-api';

export const client = '@slack/web-api';

const scope = 'chat:write,channels:read,channels:history,files:write';

export async function judge({ url, fields, app, consent, ledger }) {
  const options = { slackApiUrl: `${url}/api/`, retryConfig: { retries: 0 }, logLevel: LogLevel.ERROR };
  const page = new URL('https://slack.com/oauth/v2/authorize');
  page.search = new URLSearchParams({ client_id: app.id, scope, redirect_uri: app.back, response_type: 'code' });
  const { code } = await consent(page);
  const grant = { client_id: app.id, client_secret: app.secret, code, redirect_uri: app.back };
  const { access_token: token } = await new WebClient(undefined, options).oauth.v2.access(grant);
  await assert.rejects(new WebClient(undefined, options).oauth.v2.access(grant), (e) => e.data.error === 'invalid_code');
  const slack = new WebClient(token, options);
  const { channel } = fields;
  assert.equal((await slack.auth.test()).ok, true);
  assert.equal((await slack.conversations.info({ channel })).channel.id, channel);
  const metadata = { event_type: 'judged', event_payload: { key: 'k1' } };
  const one = await slack.chat.postMessage({ channel, text: 'Judged &amp; found', metadata });
  const reply = await slack.chat.postMessage({ channel, text: 'And more', thread_ts: one.ts });
  assert.equal(reply.message.thread_ts, one.ts);
  const { messages } = await slack.conversations.history({ channel, include_all_metadata: true });
  assert.deepEqual(messages.find((m) => m.ts === one.ts).metadata.event_payload, { key: 'k1' });
  assert.equal((await ledger()).length, 2);
  assert.equal((await slack.chat.delete({ channel, ts: reply.ts })).ok, true);
  assert.equal((await ledger()).length, 1);
  await assert.rejects(new WebClient('nonsense', options).auth.test(), (e) => e.data.error === 'invalid_auth');
  await assert.rejects(slack.chat.postMessage({ channel: 'C0000', text: 'x' }), (e) => e.data.error === 'channel_not_found');
  return ['sign in', 'a used code', 'auth', 'channel', 'post with metadata', 'thread', 'history', 'delete', 'invalid_auth', 'channel_not_found'];
}
