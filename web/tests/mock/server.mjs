// A stand-in for the server that speaks the REST contract of /api/v1 over data in memory, serves
// web/dist with the boot block and the strict content security policy, and "publishes" to a ledger.
// For unit tests and for developing the app only: nothing here proves the real server.

import { readFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { canLive, iso, networks, uuid, workspace } from './data.mjs';
import { desk } from './desk.mjs';
import { png } from './png.mjs';

const DIST = new URL('../../dist/', import.meta.url).pathname;
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; " +
  "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types svelte-trusted-html carillon-worker";
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };

class Refusal extends Error {
  constructor(status, code, message, problems, fix) {
    super(message);
    Object.assign(this, { status, code, problems, fix });
  }
}

export async function startMock({ port = 0, empty = false, tick = 300 } = {}) {
  const now = () => Date.now();
  const data = workspace(now());
  const posts = new Map(empty ? [] : data.posts.map((p) => [p.id, p]));
  const connections = new Map(empty ? [] : data.connections.map((c) => [c.id, c]));
  const { attempts } = data;
  const media = new Map();
  const uploads = new Map();
  const ledger = new Map();
  const streams = new Set();
  const log = [];
  const seen = new Map();
  const session = {
    account: { id: uuid('nell'), name: 'Nell Marlow', email: 'nell@marlowbread.example' },
    workspace: { id: uuid('workspace'), name: 'Marlow & Finch', timezone: 'Europe/London', demo: true, approval: 'none' },
    role: 'owner',
    diagnostics: true,
    reviews: 0,
    mayApprove: true,
    sandboxUrl: null,
    version: '0.0.0-mock',
  };

  const emit = (event, payload) => {
    const line = { id: log.length + 1, event, data: { ...payload, at: iso(now()) } };
    log.push(line);
    for (const stream of streams) stream.write(sse(line));
  };
  const sse = ({ id, event, data: d }) => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(d)}\n\n`;

  // ---- publishing: due deliveries become published, one step a tick
  const stateOf = (post) => {
    const s = post.deliveries.map((d) => d.state);
    if (post.state === 'draft') return 'draft';
    if (s.every((x) => x === 'cancelled')) return 'cancelled';
    if (s.some((x) => x === 'sending')) return 'publishing';
    if (s.some((x) => x === 'held')) return 'held';
    if (s.some((x) => x === 'queued')) return s.some((x) => x === 'published') ? 'partly_published' : 'scheduled';
    if (s.every((x) => x === 'published' || x === 'cancelled')) return 'published';
    return s.some((x) => x === 'published') ? 'partly_published' : 'failed';
  };
  const touch = (post) => {
    post.state = stateOf(post);
    post.version += 1;
    post.updatedAt = iso(now());
  };
  const work = () => {
    for (const post of posts.values()) {
      if (post.state === 'draft') continue;
      for (const d of post.deliveries) {
        if (d.state === 'sending') publish(post, d);
        else if (d.state === 'queued' && Date.parse(d.scheduledAt) <= now()) {
          Object.assign(d, { state: 'sending', can: [] });
          touch(post);
          emit('delivery', { kind: 'delivery.sending', postId: post.id, deliveryId: d.id, state: 'sending' });
        }
      }
    }
    for (const m of media.values()) {
      if (m.state === 'processing' && now() - Date.parse(m.createdAt) > 700) {
        m.state = 'ready';
        m.thumbUrl = `/media/${m.id}/thumb`;
        emit('media', { kind: 'media.ready', mediaId: m.id, state: 'ready' });
      }
    }
  };
  const publish = (post, d) => {
    const remoteId = d.id.slice(-10);
    Object.assign(d, { state: 'published', publishedAt: iso(now()), remoteId, remoteUrl: `${url}/sandbox/${d.network}/${remoteId}`, can: canLive(d.network), attempts: d.attempts + 1, problem: null });
    const list = attempts.get(d.id) ?? [];
    list.push({ id: uuid(`${d.id} ${list.length}`), fence: list.length + 1, step: 'publish', startedAt: iso(now() - 200), finishedAt: iso(now()), outcome: 'accepted', class: null, status: 200, code: null, sentence: null, action: null, requestId: `req_${remoteId}`, remoteId, nextAttemptAt: null });
    attempts.set(d.id, list);
    const shelf = ledger.get(d.network) ?? [];
    shelf.push({ id: remoteId, text: d.text ?? post.text, media: post.media.map((m) => ({ alt: m.alt })), created_at: iso(now()), deleted_at: null });
    ledger.set(d.network, shelf);
    touch(post);
    emit('delivery', { kind: 'delivery.published', postId: post.id, deliveryId: d.id, state: 'published' });
  };

  // ---- checking and making posts
  const units = { chars: 'characters', utf16: 'UTF-16 units', graphemes: 'characters', mastodon: 'characters' };
  const countText = (t) => [...new Intl.Segmenter().segment(t.replace(/https?:\/\/\S+/g, 'x'.repeat(23)))].length;
  const check = (body) => {
    const problems = [];
    const instant = body.scheduledAt ? when(body.scheduledAt, body.timezone) : now() + 1;
    if (instant < now() - 1000) problems.push({ field: 'scheduledAt', code: 'in_the_past', message: 'This time has already passed.' });
    const deliveries = (body.deliveries ?? []).map((want, i) => {
      const c = connections.get(want.connectionId);
      if (!c) throw new Refusal(422, 'no_such_connection', 'A chosen connection does not exist.', [{ field: `deliveries[${i}].connectionId`, code: 'no_such_connection', message: 'This connection does not exist.' }]);
      const n = networks.find((x) => x.id === c.network);
      const p = n.placements.find((x) => x.id === want.placement) ?? n.placements[0];
      const said = want.text ?? body.text ?? '';
      const max = body.media?.length && p.text.maxWithMedia !== null ? p.text.maxWithMedia : p.text.max;
      const of = [];
      const say = (field, code, message) => of.push({ field: `deliveries[${i}].${field}`, code, message, connectionId: c.id });
      if (countText(said) > max) say('text', 'text_too_long', `${n.name} takes ${max} ${units[p.text.count]}; this text has ${countText(said)}.`);
      if (!said.trim() && !body.media?.length) say('text', 'empty', 'There is nothing to say: write a text or add a picture.');
      if ((body.media?.length ?? 0) < p.media.min) say('media', 'media_missing', `${n.name} needs at least one picture.`);
      return { connectionId: c.id, network: c.network, placement: p.id, count: countText(said), max, unit: units[p.text.count], problems: of };
    });
    return { deliveries, problems, warnings: clashes(body, instant) };
  };
  /** Other posts of the same connection within half an hour. */
  const clashes = (body, instant) => (body.deliveries ?? []).flatMap((want, i) => {
    const all = [...posts.values()].filter((p) => p.state !== 'draft').flatMap((p) => p.deliveries.filter((d) => d.connectionId === want.connectionId && d.state === 'queued').map((d) => [p, Date.parse(d.scheduledAt)]));
    const near = all.find(([, at]) => Math.abs(at - instant) < 30 * 60_000);
    if (!near) return [];
    let free = instant;
    while (all.some(([, at]) => Math.abs(at - free) < 30 * 60_000)) free += 5 * 60_000;
    const c = connections.get(want.connectionId);
    return [{ field: `deliveries[${i}].scheduledAt`, code: 'collision', message: `Another post to ${c.name} is due close to it: “${near[0].text}”.`, connectionId: c.id, postId: near[0].id, suggestedAt: iso(free) }];
  });
  const refuseClash = ({ warnings }, body) => {
    if (!warnings.length || body.allowCollision) return;
    throw Object.assign(new Refusal(409, 'collision', warnings[0].message, warnings, 'Choose the next free time, or allow it with `allowCollision`.'), { suggestedAt: warnings[0].suggestedAt });
  };
  const refuseUnless = (answer) => {
    const all = [...answer.problems, ...answer.deliveries.flatMap((d) => d.problems)];
    if (all.length) throw new Refusal(422, all[0].code, all[0].message, all);
  };
  const fill = (post, body) => {
    const at = body.scheduledAt ? when(body.scheduledAt, body.timezone) : body.draft ? null : now();
    Object.assign(post, {
      text: body.text, thread: [], title: body.title ?? null, timezone: body.timezone ?? post.timezone,
      media: (body.media ?? []).map((id) => short(media.get(id) ?? post.media?.find((m) => m.id === id))),
      state: body.draft ? 'draft' : 'scheduled', scheduledAt: at === null ? null : iso(at),
      deliveries: (body.deliveries ?? []).map((want) => {
        const c = connections.get(want.connectionId);
        return {
          id: uuid(`${post.id} ${c.id}`), postId: post.id, connectionId: c.id, connectionName: c.name, network: c.network,
          parentId: null, position: 0, placement: want.placement ?? networks.find((n) => n.id === c.network).placements[0].id, text: want.text ?? null, title: null, options: want.options ?? {}, state: 'queued',
          scheduledAt: iso(at ?? now()), nextAttemptAt: null, attempts: 0, remoteId: null, remoteUrl: null, publishedAt: null,
          problem: null, question: null, numbers: null, can: body.draft ? [] : ['cancel'],
        };
      }),
    });
    touch(post);
    return post;
  };
  const short = ({ id, thumbUrl, alt, state, width, height }) => ({ id, thumbUrl, alt, state, width, height });
  const need = (map, id, what) => map.get(id) ?? (() => { throw new Refusal(404, 'not_found', `There is no ${what} with this id.`); })();
  const deliveryOf = (id) => {
    for (const post of posts.values()) for (const d of post.deliveries) if (d.id === id) return [post, d];
    throw new Refusal(404, 'not_found', 'There is no delivery with this id.');
  };

  // ---- the routes
  const routes = [
    ...desk({ posts, connections, deliveryOf, touch, emit, Refusal, now, session }),
    ['GET', '/session', () => session],
    ['DELETE', '/session', (_, __, ___, ____, response) => (response.setHeader('set-cookie', 'carillon_session=; Path=/; Max-Age=0'), null)],
    ['GET', '/networks', () => ({ items: networks, next: null })],
    ['GET', '/apps', () => ({ items: [], editable: true })],
    ['GET', '/campaigns', () => ({ items: [], next: null })],
    ['GET', '/connections', () => ({ items: [...connections.values()], next: null })],
    ['POST', '/connections', (_, body) => {
      const n = networks.find((x) => x.id === body.network);
      const secret = n.fields.find((f) => f.secret);
      if (!/^sandbox-/.test(body.credentials?.[secret.key] ?? '')) {
        throw new Refusal(422, 'connection_refused', `${n.name} refused the credentials.`, [{ field: `credentials.${secret.key}`, code: 'auth', message: `${n.name} does not accept this ${secret.label.toLowerCase()}.` }]);
      }
      const c = { id: uuid(`connection ${connections.size} ${now()}`), network: n.id, name: body.name ?? 'bob', remoteId: '2', state: 'active', problem: null, settings: body.settings ?? {}, waiting: 0, token: { expiresAt: null, renewsAt: null, renewedAt: null, endsAt: null, problem: null, scopes: null }, budgets: [], refusedUntil: null, lastPublishedAt: null, checkedAt: iso(now()), createdAt: iso(now()) };
      connections.set(c.id, c);
      emit('connection', { kind: 'connection.added', connectionId: c.id });
      return [201, c];
    }],
    ['PATCH', '/connections/:id', ({ id }, body) => Object.assign(need(connections, id, 'connection'), { name: body.name ?? connections.get(id).name, settings: body.settings ?? {}, ...(body.credentials ? { state: 'active', problem: null, waiting: 0 } : {}) })],
    ['DELETE', '/connections/:id', ({ id }) => {
      const { name } = need(connections, id, 'connection');
      connections.delete(id);
      return { connectionId: id, name, revocation: 'unsupported', sentence: 'The network does not let programs end an access: the credentials were erased here, and can be ended where they were made.', cancelled: 0 };
    }],
    ['GET', '/connections/diagnostics', () => ({ next: null, items: [...connections.values()].map((c) => ({
      connectionId: c.id, network: c.network, name: c.name, remoteId: c.remoteId, state: c.state, key: 'k1f09ab3e', newestKey: c.network !== 'telegram', unopened: null, missing: [],
      tokens: [{ key: 'accessToken', masked: 'EAAB…x7Qz', expiresAt: c.network === 'instagram' ? iso(now() - 3_600_000) : null }],
      token: c.token, settings: c.settings, checkedAt: c.checkedAt, lastPublishedAt: c.lastPublishedAt, createdAt: c.createdAt,
    })) })],
    ['POST', '/connections/:id/check', ({ id }) => {
      const c = need(connections, id, 'connection');
      c.checkedAt = iso(now());
      const ok = !c.problem;
      return { ok, connection: c, checks: [
        { name: 'reach', ok: true, detail: 'Answered in 84 ms over TLS 1.3.' },
        { name: 'clock', ok: true, detail: 'Its clock and ours differ by 0.2 s.' },
        { name: 'token', ok, detail: ok ? 'The token is valid.' : 'The access token has expired.', action: ok ? null : 'reconnect' },
      ] };
    }],
    ['POST', '/connections/:id/pause', ({ id }) => Object.assign(need(connections, id, 'connection'), { state: 'paused' })],
    ['POST', '/connections/:id/resume', ({ id }) => Object.assign(need(connections, id, 'connection'), { state: 'active' })],
    ['GET', '/media', () => ({ items: [...media.values()].reverse(), next: null })],
    ['GET', '/media/:id', ({ id }) => need(media, id, 'file')],
    ['PATCH', '/media/:id', ({ id }, body) => Object.assign(need(media, id, 'file'), body)],
    ['DELETE', '/media/:id', ({ id }) => (media.delete(id), null)],
    ['POST', '/posts/check', (_, body) => check(body)],
    ['POST', '/posts', (_, body, request) => {
      const key = request.headers['idempotency-key'];
      if (key && seen.has(key)) return [201, posts.get(seen.get(key))];
      if (!body.draft) refuseUnless(check(body));
      if (!body.draft) refuseClash(check(body), body);
      const post = fill({ id: uuid(`made ${posts.size} ${now()}`), createdAt: iso(now()), version: 0 }, body);
      posts.set(post.id, post);
      if (key) seen.set(key, post.id);
      emit('post', { kind: 'post.created', postId: post.id, state: post.state });
      return [201, post];
    }],
    ['GET', '/calendar', (_, __, ___, query) => {
      const says = (p) => `${p.title ?? ''} ${p.text}`.toLowerCase().includes((query.get('search') ?? '').toLowerCase());
      const items = [...posts.values()].filter((p) => p.scheduledAt && p.scheduledAt >= query.get('from') && p.scheduledAt < query.get('to') && says(p));
      return { items: items.sort((a, b) => a.scheduledAt.localeCompare(b.scheduledAt)), next: null };
    }],
    ['GET', '/slots', (_, __, ___, query) => ({ slots: [query.get('after')] })],
    ['POST', '/posts/move', (_, body) => {
      const items = body.posts.map(({ id, scheduledAt }) => {
        const post = need(posts, id, 'post');
        const by = Date.parse(scheduledAt) - Date.parse(post.scheduledAt);
        for (const d of post.deliveries) d.scheduledAt = iso(Date.parse(d.scheduledAt) + by);
        post.scheduledAt = iso(Date.parse(scheduledAt));
        touch(post);
        return post;
      });
      return { items };
    }],
    ['GET', '/posts', (_, __, request, query) => {
      const words = query.get('search')?.toLowerCase();
      if (words) return { items: [...posts.values()].filter((p) => p.text.toLowerCase().includes(words)).slice(0, Number(query.get('limit') ?? 100)), next: null };
      const from = Date.parse(query.get('from') ?? '') || -Infinity;
      const to = Date.parse(query.get('to') ?? '') || Infinity;
      // Without a span: the posts that have no time.
      if (!query.has('from') && !query.has('to')) return { items: [...posts.values()].filter((p) => !p.scheduledAt), next: null };
      const items = [...posts.values()].filter((p) => p.scheduledAt && Date.parse(p.scheduledAt) >= from && Date.parse(p.scheduledAt) < to);
      const state = query.get('state');
      return { items: items.filter((p) => !state || p.state === state).sort((a, b) => a.scheduledAt.localeCompare(b.scheduledAt)), next: null };
    }],
    ['GET', '/posts/trash', () => ({ items: [], next: null })],
    ['GET', '/posts/:id', ({ id }) => need(posts, id, 'post')],
    ['PATCH', '/posts/:id', ({ id }, body) => {
      const post = need(posts, id, 'post');
      if (body.version !== post.version) throw new Refusal(409, 'version_conflict', 'The post was changed meanwhile.');
      if (!body.draft) refuseUnless(check({ ...body, scheduledAt: body.scheduledAt ?? undefined }));
      return fill(post, body);
    }],
    ['POST', '/posts/:id/move', ({ id }, body) => {
      const post = need(posts, id, 'post');
      if (body.version !== undefined && body.version !== post.version) throw new Refusal(409, 'version_conflict', 'The post was changed meanwhile.');
      const to = when(body.scheduledAt, body.timezone ?? post.timezone);
      const by = to - Date.parse(post.scheduledAt);
      if (!body.allowCollision) refuseClash({ warnings: clashes({ deliveries: post.deliveries }, to).filter((w) => w.postId !== id) }, body);
      if (to < now()) throw new Refusal(422, 'in_the_past', 'This time has already passed.');
      for (const d of post.deliveries) if (d.state === 'queued' || d.state === 'held') d.scheduledAt = iso(Date.parse(d.scheduledAt) + by);
      post.scheduledAt = iso(to);
      touch(post);
      return post;
    }],
    ['POST', '/posts/:id/cancel', ({ id }) => {
      const post = need(posts, id, 'post');
      for (const d of post.deliveries) if (d.can.includes('cancel')) Object.assign(d, { state: 'cancelled', can: ['retry'] });
      touch(post);
      emit('post', { kind: 'post.cancelled', postId: id, state: post.state });
      return post;
    }],
    ['DELETE', '/posts/:id', ({ id }) => (need(posts, id, 'post'), posts.delete(id), null)],
    ['GET', '/snippets', () => ({ items: [] })],
    ['POST', '/posts/:id/lock', () => ({ others: [] })],
    ['DELETE', '/posts/:id/lock', () => null],
    ['POST', '/posts/:id/rollback', ({ id }) => {
      const post = need(posts, id, 'post');
      const results = post.deliveries.map((d) => {
        const ok = networks.find((n) => n.id === d.network).abilities.delete;
        if (d.state !== 'published') return { deliveryId: d.id, network: d.network, result: 'not_published', sentence: '', url: null };
        if (!ok) return { deliveryId: d.id, network: d.network, result: 'cannot_be_deleted', sentence: 'Cannot be deleted through its API: open it and delete it there.', url: d.remoteUrl };
        Object.assign(d, { state: 'removed', can: [] });
        for (const p of ledger.get(d.network) ?? []) if (p.id === d.remoteId) p.deleted_at = iso(now());
        return { deliveryId: d.id, network: d.network, result: 'deleted', sentence: 'Deleted.', url: null };
      });
      post.state = 'draft';
      touch(post);
      return { results, post };
    }],
    ['GET', '/deliveries/:id/attempts', ({ id }) => ({ items: attempts.get(id) ?? [], next: null })],
    ['POST', '/deliveries/:id/cancel', ({ id }) => { const [p, d] = deliveryOf(id); Object.assign(d, { state: 'cancelled', can: [] }); touch(p); return d; }],
    ['POST', '/deliveries/:id/amend', ({ id }, body) => {
      const [p, d] = deliveryOf(id);
      if (!d.can.includes('amend')) throw new Refusal(409, 'not_changeable', 'This network lets no program change what is live.');
      Object.assign(d, { text: body.text, title: body.title ?? d.title });
      touch(p);
      return d;
    }],
    ['POST', '/deliveries/:id/measure', ({ id }) => {
      const [p, d] = deliveryOf(id);
      if (!d.can.includes('measure')) throw new Refusal(409, 'not_measurable', 'This network tells no program what followers did.');
      d.numbers = { at: iso(now()), values: { likes: 7, comments: 5, shares: 4 } };
      touch(p);
      return d;
    }],
    ['POST', '/deliveries/:id/answer', ({ id }, body) => {
      const [p, d] = deliveryOf(id);
      if (body.live) Object.assign(d, { state: 'published', publishedAt: iso(now()), remoteUrl: body.url ?? null, question: null, problem: null, can: [] });
      else Object.assign(d, { state: 'queued', scheduledAt: iso(now()), question: null, problem: null, can: ['cancel'] });
      touch(p);
      return d;
    }],
  ].map(([method, path, run]) => ({ method, run, pattern: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`) }));

  async function apiCall(request, response, path, query) {
    const raw = await bodyOf(request);
    if (request.method === 'POST' && path === '/media') return json(response, 201, upload(raw, query, request));
    if (path.startsWith('/uploads')) return piece(request, response, path.split('/')[2], raw);
    for (const { method, pattern, run } of routes) {
      const match = method === request.method && pattern.exec(path);
      if (!match) continue;
      const answer = run(match.groups ?? {}, raw.length ? JSON.parse(raw.toString()) : {}, request, query, response);
      if (answer === null) response.writeHead(204).end();
      else if (Array.isArray(answer)) json(response, ...answer);
      else json(response, 200, answer);
      return;
    }
    throw new Refusal(404, 'not_found', 'There is nothing at this address.');
  }
  // Files in pieces, by the tus protocol.
  const piece = (request, response, id, raw) => {
    const { method, headers } = request;
    if (method === 'POST') {
      id = uuid(`pieces ${uploads.size} ${now()}`);
      const name = /filename ([^,]+)/.exec(headers['upload-metadata'] ?? '')?.[1] ?? '';
      uploads.set(id, { length: Number(headers['upload-length']), name: Buffer.from(name, 'base64').toString(), raw: Buffer.alloc(0), media: null });
    }
    const one = need(uploads, id, 'upload');
    if (method === 'DELETE') {
      uploads.delete(id);
      return response.writeHead(204).end();
    }
    if (method === 'PATCH') {
      if (Number(headers['upload-offset']) !== one.raw.length) throw new Refusal(409, 'upload_offset', 'These bytes begin elsewhere.');
      one.raw = Buffer.concat([one.raw, raw]);
      if (one.raw.length === one.length) one.media = upload(one.raw, new URLSearchParams({ name: one.name }), request).id;
    }
    const told = { 'upload-offset': one.raw.length, 'upload-length': one.length, ...(one.media && { 'media-id': one.media }) };
    if (method === 'POST') return response.writeHead(201, { ...told, location: `/api/v1/uploads/${id}` }).end();
    response.writeHead(method === 'HEAD' ? 200 : 204, told).end();
  };
  const upload = (raw, query, request) => {
    const id = uuid(`upload ${media.size} ${now()}`);
    const m = { id, name: query.get('name'), contentType: request.headers['content-type'], bytes: raw.length, width: raw.readUInt32BE?.(16) ?? 0, height: raw.readUInt32BE?.(20) ?? 0, alt: query.get('alt') ?? '', state: 'processing', problem: null, url: `/media/${id}/original`, thumbUrl: null, derivatives: [], createdAt: iso(now()) };
    Object.defineProperty(m, 'raw', { value: raw, enumerable: false });
    media.set(id, m);
    return m;
  };
  const json = (response, status, value) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      if (!(error instanceof Refusal)) console.error(error);
      const status = error.status ?? 500;
      json(response, status, { error: error.message, code: error.code ?? 'internal', status, requestId: 'req_mock', details: { problems: error.problems ?? [], fix: error.fix, suggestedAt: error.suggestedAt ?? null } });
    });
  });
  async function handle(request, response) {
    const { pathname, searchParams } = new URL(request.url, 'http://x');
    if (pathname === '/login/mock') {
      response.writeHead(303, { location: '/planner', 'set-cookie': 'carillon_session=mock; Path=/; HttpOnly; SameSite=Lax' }).end();
    } else if (pathname === '/login') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sign in</title><h1>Sign in</h1>');
    } else if (pathname === '/sandbox') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sandbox</title><h1>Sandbox</h1>');
    } else if (pathname.startsWith('/sandbox/_ledger/')) {
      json(response, 200, { posts: ledger.get(pathname.split('/').at(-1)) ?? [] });
    } else if (/^\/media\/[^/]+\/\w+$/.test(pathname)) {
      const found = media.get(pathname.split('/')[2]);
      response.writeHead(200, { 'content-type': 'image/png' }).end(found?.raw ?? png(240, 180, pathname.charCodeAt(8) + pathname.charCodeAt(9)));
    } else if (pathname === '/api/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write('event: hello\ndata: {}\n\n');
      const last = Number(request.headers['last-event-id'] ?? log.length);
      for (const line of log.slice(last)) response.write(sse(line));
      streams.add(response);
      request.on('close', () => streams.delete(response));
    } else if (pathname.startsWith('/api/v1/')) {
      if (!/carillon_session=/.test(request.headers.cookie ?? '')) throw new Refusal(401, 'unauthenticated', 'Sign in first.');
      await apiCall(request, response, pathname.slice(7), searchParams);
    } else {
      page(request, response, pathname);
    }
  }
  function page(request, response, pathname) {
    const file = join(DIST, pathname);
    if (extname(pathname) && existsSync(file)) {
      response.writeHead(200, { 'content-type': TYPES[extname(pathname)] ?? 'application/octet-stream', 'cache-control': 'no-cache' }).end(readFileSync(file));
      return;
    }
    if (!/carillon_session=/.test(request.headers.cookie ?? '')) {
      response.writeHead(303, { location: '/login' }).end();
      return;
    }
    const route = /^\/posts\//.test(pathname) ? '/posts/{id}' : pathname;
    const preload = JSON.parse(readFileSync(join(DIST, 'preload.json'), 'utf8'))[route] ?? { js: [], css: [], font: null };
    const links = [
      ...preload.css.map((f) => `<link rel="stylesheet" href="${f}">`),
      ...preload.js.map((f) => `<link rel="modulepreload" href="${f}">`),
      preload.font ? `<link rel="preload" as="font" type="font/woff2" href="${preload.font}" crossorigin>` : '',
    ].join('');
    const month = iso(now()).slice(0, 7);
    const boot = { session, networks, connections: [...connections.values()], posts: [...posts.values()].filter((p) => p.scheduledAt?.startsWith(month)), month, now: iso(now()) };
    const block = `<script type="application/json" id="boot">${JSON.stringify(boot).replaceAll('<', '\\u003c')}</script>`;
    const html = readFileSync(join(DIST, 'index.html'), 'utf8').replace('<!--preload-->', () => links).replace('<!--boot-->', () => block);
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': CSP, 'cache-control': 'no-store' }).end(html);
  }

  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  session.sandboxUrl = `${url}/sandbox`;
  const timer = setInterval(work, tick);
  return {
    url,
    loginUrl: `${url}/login/mock`,
    sandboxUrl: session.sandboxUrl,
    close: () => {
      clearInterval(timer);
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function bodyOf(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}

/** A wall time in a zone, or an instant, as ms. */
function when(value, zone) {
  if (/Z$|[+-]\d\d:\d\d$/.test(value)) return Date.parse(value);
  const guess = Date.parse(`${value}Z`);
  const parts = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(guess);
  return guess - (Date.parse(`${parts.replace(' ', 'T')}Z`) - guess);
}
