import assert from 'node:assert/strict';
import Pinterest from 'pinterest-node-api';

export const client = 'pinterest-node-api';

export async function judge({ url, app, consent, picture, ledger }) {
  const { hostname, port } = new URL(url);
  const made = (token) => {
    const pinterest = new Pinterest(token);
    // It writes to a connection of its own kind alone, so it has to be told where to go.
    pinterest.setHost(hostname, port, 'http');
    return pinterest;
  };
  const page = new URL('https://www.pinterest.com/oauth/');
  const scope = 'boards:read,boards:write,pins:read,pins:write,user_accounts:read';
  page.search = new URLSearchParams({ client_id: app.id, redirect_uri: app.back, response_type: 'code', scope, state: 's' });
  const { code } = await consent(page);
  const ours = made();
  ours.setApiKey(app.id, app.secret);
  const grant = { grant_type: 'authorization_code', code, redirect_uri: app.back };
  const { access_token: token, refresh_token: refresh } = await ours.oauth.createAccessToken(grant);
  await assert.rejects(ours.oauth.createAccessToken(grant), { StatusCode: 400 });
  const renewed = await ours.oauth.createAccessToken({ grant_type: 'refresh_token', refresh_token: refresh });
  assert.ok(renewed.access_token && renewed.access_token !== token);
  const pinterest = made(renewed.access_token);
  assert.equal((await pinterest.user_account.get()).username, 'judge');
  const { items: boards } = await pinterest.boards.list();
  const source = { source_type: 'image_base64', content_type: 'image/jpeg', data: picture.toString('base64') };
  const pin = { board_id: boards[0].id, title: 'Judged', description: 'And found', alt_text: 'A dot', media_source: source };
  const one = await pinterest.pins.create(pin);
  assert.equal((await pinterest.pins.get(one.id)).title, 'Judged');
  const { items } = await pinterest.boards.getPins(boards[0].id);
  assert.deepEqual(items.map((item) => item.id), [one.id]);
  assert.equal((await ledger())[0].media[0].alt, 'A dot');
  await pinterest.pins.delete(one.id);
  assert.equal((await ledger()).length, 0);
  // It hands refusals on as they are.
  assert.equal((await pinterest.pins.get(one.id)).code, 50);
  assert.equal((await made('nonsense').user_account.get()).code, 2);
  return ['sign in', 'refresh', 'me', 'boards', 'pin', 'read', 'list', 'delete', 'not found', 'a bad token'];
}
