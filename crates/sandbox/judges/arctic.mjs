import assert from 'node:assert/strict';
import * as arctic from 'arctic';

export const client = 'arctic';

/** How it signs in where no other judge does, or in another way. */
const KNOWN = {
  x: { Provider: arctic.Twitter, pkce: true, scopes: ['tweet.read', 'tweet.write', 'offline.access'] },
  linkedin: { Provider: arctic.LinkedIn, scopes: ['openid', 'w_member_social'] },
  tumblr: { Provider: arctic.Tumblr, scopes: ['basic', 'write', 'offline_access'] },
  tiktok: { Provider: arctic.TikTok, pkce: true, scopes: ['user.info.basic', 'video.publish'] },
  youtube: { Provider: arctic.Google, pkce: true, scopes: ['https://www.googleapis.com/auth/youtube.upload'] },
};

export const networks = Object.keys(KNOWN);

export async function judge({ network, app, consent }) {
  const { Provider, pkce, scopes } = KNOWN[network];
  const ours = new Provider(app.id, app.secret, app.back);
  const verifier = pkce ? [arctic.generateCodeVerifier()] : [];
  const state = arctic.generateState();
  const back = await consent(ours.createAuthorizationURL(state, ...verifier, scopes));
  assert.equal(back.state, state);
  const tokens = await ours.validateAuthorizationCode(back.code, ...verifier);
  assert.ok(tokens.accessToken() && tokens.accessTokenExpiresInSeconds() > 0);
  const used = (e) => e instanceof arctic.OAuth2RequestError && e.code === 'invalid_grant';
  await assert.rejects(ours.validateAuthorizationCode(back.code, ...verifier), used);
  const did = [pkce ? 'sign in with PKCE' : 'sign in', 'a used code'];
  if (tokens.hasRefreshToken()) {
    const renewed = await ours.refreshAccessToken(tokens.refreshToken());
    assert.notEqual(renewed.accessToken(), tokens.accessToken());
    did.push('refresh');
  }
  if (network === 'tiktok') {
    await ours.revokeToken(tokens.accessToken());
    did.push('revoke');
  }
  return did;
}
