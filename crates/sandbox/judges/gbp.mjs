import assert from 'node:assert/strict';
import management from '@googleapis/mybusinessaccountmanagement';
import information from '@googleapis/mybusinessbusinessinformation';
import { signIn, signOut } from './google.mjs';

export const client = '@googleapis/mybusinessbusinessinformation';

export async function judge({ app, consent, fields, ledger }) {
  const google = await signIn(management.auth, { app, consent }, ['https://www.googleapis.com/auth/business.manage']);
  const { accounts } = management.mybusinessaccountmanagement({ version: 'v1', auth: google });
  const places = information.mybusinessbusinessinformation({ version: 'v1', auth: google });
  const { data: all } = await accounts.list({ pageSize: 1 });
  assert.ok(all.nextPageToken);
  const parent = all.accounts[0].name;
  const readMask = 'name,title,metadata,storefrontAddress';
  const { data: listed } = await places.accounts.locations.list({ parent, readMask });
  const own = listed.locations.find((place) => fields.location === `${parent}/${place.name}`);
  assert.equal(own.metadata.hasVoiceOfMerchant, true);
  const { data: place } = await places.locations.get({ name: own.name, readMask: 'title' });
  assert.deepEqual(place, { title: own.title });
  await assert.rejects(places.locations.get({ name: 'locations/1', readMask: 'title' }), { status: 404 });

  // Posts are in the old API, for which Google publishes no library: its client signs the calls.
  const posts = `https://mybusiness.googleapis.com/v4/${fields.location}/localPosts`;
  const data = { languageCode: 'en', summary: 'Judged and found', topicType: 'STANDARD' };
  const { data: post } = await google.request({ url: posts, method: 'POST', data });
  assert.equal(post.state, 'PROCESSING');
  const { data: read } = await google.request({ url: `https://mybusiness.googleapis.com/v4/${post.name}` });
  assert.equal(read.summary, data.summary);
  assert.equal((await ledger()).length, 1);
  const wrong = google.request({ url: posts, method: 'POST', data: { ...data, topicType: 'NONSENSE' } });
  await assert.rejects(wrong, (e) => e.status === 400 && e.response.data.error.status === 'INVALID_ARGUMENT');
  await google.request({ url: `https://mybusiness.googleapis.com/v4/${post.name}`, method: 'DELETE' });
  assert.equal((await ledger()).length, 0);
  await signOut(google, () => accounts.list());
  return ['sign in with PKCE', 'refresh', 'accounts', 'places', '404', 'post', 'read', '400', 'delete', 'revoke'];
}
