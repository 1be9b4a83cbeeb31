import assert from 'node:assert/strict';
import { AuthClient, RestliClient } from 'linkedin-api-client';

export const client = 'linkedin-api-client';

const scopes = ['openid', 'profile', 'w_member_social', 'w_organization_social', 'r_organization_social', 'rw_organization_admin'];

export async function judge({ app, consent, fields, picture, until, ledger }) {
  const refuses = (status) => (e) => e.response?.status === status;
  const auth = new AuthClient({ clientId: app.id, clientSecret: app.secret, redirectUrl: app.back });
  const { code, state } = await consent(auth.generateMemberAuthorizationUrl(scopes, 'a state'));
  assert.equal(state, 'a state');
  const { access_token: accessToken } = await auth.exchangeAuthCodeForAccessToken(code);
  await assert.rejects(auth.exchangeAuthCodeForAccessToken(code), refuses(400));
  const linkedin = new RestliClient();
  const asked = { accessToken, versionString: '202611' };
  const me = await linkedin.get({ resourcePath: '/userinfo', accessToken });
  assert.equal(me.data.name, 'judge');
  const { author } = fields;
  const roles = await linkedin.finder({ resourcePath: '/organizationAcls', finderName: 'roleAssignee', ...asked });
  assert.ok(roles.data.elements.some((role) => role.organization === author && role.role === 'ADMINISTRATOR'));

  const initializeUploadRequest = { owner: author };
  const begun = await linkedin.action({ resourcePath: '/images', actionName: 'initializeUpload', data: { initializeUploadRequest }, ...asked });
  const { uploadUrl, image } = begun.data.value;
  // The sandbox has it under a path, which is the root here.
  const sent = await fetch(uploadUrl.replace('/linkedin/', '/'), { method: 'PUT', headers: { authorization: `Bearer ${accessToken}` }, body: picture });
  assert.equal(sent.status, 201);
  const status = async () => (await linkedin.get({ resourcePath: '/images/{id}', pathKeys: { id: image }, ...asked })).data.status;
  await until(async () => (await status()) === 'AVAILABLE');
  const entity = {
    author,
    commentary: 'Judged \\(and found\\)',
    visibility: 'PUBLIC',
    distribution: { feedDistribution: 'MAIN_FEED' },
    lifecycleState: 'PUBLISHED',
  };
  const shown = { ...entity, content: { media: { id: image, altText: 'A dot' } } };
  const { createdEntityId: id } = await linkedin.create({ resourcePath: '/posts', entity: shown, ...asked });
  assert.match(id, /^urn:li:/);
  const post = { resourcePath: '/posts/{id}', pathKeys: { id }, ...asked };
  assert.equal((await linkedin.get(post)).data.content.media.id, image);
  const { createdEntityId: words } = await linkedin.create({ resourcePath: '/posts', entity, ...asked });
  const listed = await linkedin.finder({ resourcePath: '/posts', finderName: 'author', queryParams: { author, count: 10 }, ...asked });
  assert.deepEqual(listed.data.elements.map((element) => element.id), [words, id]);
  assert.deepEqual((await ledger()).map((one) => [one.text, one.media.length]), [['Judged (and found)', 1], ['Judged (and found)', 0]]);
  await assert.rejects(linkedin.create({ resourcePath: '/posts', entity, ...asked }), refuses(422));
  const poll = { question: 'Which?', options: [{ text: 'Rye' }, { text: 'Oats' }], settings: { duration: 'THREE_DAYS' } };
  const asking = (content) => linkedin.create({ resourcePath: '/posts', entity: { ...entity, commentary: 'Tell us', content }, ...asked });
  const { createdEntityId: question } = await asking({ poll });
  const polled = { resourcePath: '/posts/{id}', pathKeys: { id: question }, ...asked };
  assert.deepEqual((await linkedin.get(polled)).data.content.poll, poll);
  await assert.rejects(asking({ poll, media: { id: image } }), refuses(422));
  await linkedin.delete(polled);
  await linkedin.delete(post);
  await assert.rejects(linkedin.get(post), refuses(404));
  assert.equal((await ledger()).length, 1);
  await assert.rejects(linkedin.get({ resourcePath: '/userinfo', accessToken: 'nonsense' }), refuses(401));
  return ['sign in', 'me', 'pages', 'picture', 'post', 'read', 'list', 'poll', 'duplicate', 'delete', '404', '401'];
}
