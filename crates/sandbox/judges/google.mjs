// Signing in as Google's own libraries do it, for the judges of its services.

import assert from 'node:assert/strict';

/** A client with consent to `scope`, renewed once. */
export async function signIn(auth, { app, consent }, scope) {
  const google = new auth.OAuth2({ clientId: app.id, clientSecret: app.secret, redirectUri: app.back });
  const { codeVerifier, codeChallenge } = await google.generateCodeVerifierAsync();
  const asked = { access_type: 'offline', scope, state: 's', code_challenge_method: 'S256', code_challenge: codeChallenge };
  const { code, state } = await consent(google.generateAuthUrl(asked));
  assert.equal(state, 's');
  await assert.rejects(google.getToken({ code: 'nonsense', codeVerifier }), (e) => e.response.data.error === 'invalid_grant');
  const { tokens } = await google.getToken({ code, codeVerifier });
  assert.ok(tokens.expiry_date > Date.now());
  google.setCredentials({ refresh_token: tokens.refresh_token });
  const { token } = await google.getAccessToken();
  assert.notEqual(token, tokens.access_token);
  return google;
}

/** Takes the consent back: nothing works after that. */
export async function signOut(google, call) {
  const { access_token: token, refresh_token } = google.credentials;
  await google.revokeToken(token);
  google.setCredentials({ access_token: token });
  await assert.rejects(call(), { status: 401 });
  google.setCredentials({ refresh_token });
  await assert.rejects(call(), (e) => e.response.data.error === 'invalid_grant');
}
