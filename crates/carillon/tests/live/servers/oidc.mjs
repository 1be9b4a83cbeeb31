#!/usr/bin/env node
// A real server for OAuth 2 and OpenID Connect: oidc.mjs DIR prints {"url","clientSecret"} and lives as life.mjs says.
//
// It knows the apps `in-body` and `in-basic`, called after where they send their secret, demands PKCE, and rotates
// refresh tokens. Its pages are skipped: `alice` signs in and consents to whatever she is asked.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { listen, load, ready } from './life.mjs';

const { Provider } = await load('oidc-provider');
const server = http.createServer();
const url = `http://127.0.0.1:${await listen(server)}`;
const clientSecret = randomBytes(24).toString('base64url');

const app = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: clientSecret,
  token_endpoint_auth_method,
  redirect_uris: ['https://carillon.example/back'],
  grant_types: ['authorization_code', 'refresh_token'],
});
const provider = new Provider(url, {
  clients: [app('in-body', 'client_secret_post'), app('in-basic', 'client_secret_basic')],
  cookies: { keys: [clientSecret] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  pkce: { required: () => true },
  rotateRefreshToken: true,
});

async function agree(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

const speak = provider.callback();
server.on('request', (request, response) => (request.url.startsWith('/interaction/') ? agree : speak)(request, response));
ready({ url, clientSecret });
