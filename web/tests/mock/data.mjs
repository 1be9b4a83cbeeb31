// A believable workspace: a bakery, a bookshop and a bicycle workshop, six weeks around `now`.

import { createHash } from 'node:crypto';

const MINUTE = 60_000;
const DAY = 86_400_000;

export const iso = (ms) => new Date(ms).toISOString();
/** The same word always gives the same id. */
export function uuid(word) {
  const h = createHash('sha256').update(word).digest('hex');
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-7${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20, 32)}`;
}

const text = (max, count, more = {}) => ({
  max,
  count,
  maxBytes: null,
  maxWithMedia: null,
  questionMax: null,
  maxHashtags: null,
  maxMentions: null,
  titleMax: null,
  required: false,
  ...more,
});
const media = (max, more = {}) => ({
  min: 0,
  max,
  types: ['image/jpeg', 'image/png'],
  maxBytes: 8_000_000,
  ratio: null,
  derivative: 'original',
  pull: false,
  altMax: 1500,
  video: null,
  ...more,
});
const field = (key, label, help, secret = false, required = true) => ({ key, label, help, secret, required });
const abilities = { delete: true, readBack: true, altText: true, edit: false, measure: false, polls: false, threads: false, firstComment: false };
const editable = { ...abilities, edit: true };
const choice = (key, label, help, kind) => ({ key, label, help, required: false, kind });
const spans = [['1h', '1 hour'], ['1d', '1 day'], ['3d', '3 days'], ['7d', '7 days']].map(([value, label]) => ({ value, label }));
const poll = (max, chars, open = true) => [
  choice('poll', 'Poll', 'Its answers, one a line. A poll stands alone: without pictures and videos.', { type: 'lines', min: 2, max, chars }),
  ...(open ? [choice('pollFor', 'Poll: open for', 'How long people can vote. Left empty: one day.', { type: 'oneOf', picks: spans })] : []),
  choice('pollSeveral', 'Poll: several answers', 'May somebody choose more than one? Left empty: no.', { type: 'flag' }),
];
const measured = ['likes', 'comments', 'shares'];

export const networks = [
  {
    id: 'bluesky',
    name: 'Bluesky',
    code: 'BS',
    baseUrl: 'https://bsky.social',
    fields: [
      field('handle', 'Handle', 'As in your profile, for example `name.bsky.social`.'),
      field('appPassword', 'App password', 'Settings → Privacy and security → App passwords.', true),
    ],
    placements: [
      { id: 'feed', name: 'Post', follows: [], options: [], send: { class: 'keyed' }, edit: 'no', measures: measured, text: text(300, 'graphemes', { maxBytes: 3000 }), media: media(4, { maxBytes: 1_000_000 }) },
    ],
    abilities,
    budgets: [{ posts: 1666, per: 3600, of: [] }],
  },
  {
    id: 'mastodon',
    name: 'Mastodon',
    code: 'MA',
    baseUrl: '',
    fields: [
      field('server', 'Server', 'The address of your server, for example `https://mastodon.social`.'),
      field('token', 'Access token', 'Preferences → Development → New application, with `read` and `write`.', true),
    ],
    placements: [{ id: 'feed', name: 'Post', follows: [], options: poll(4, 50), send: { class: 'keyed', horizon: 3600 }, edit: 'text', measures: measured, text: text(500, 'mastodon'), media: media(4) }],
    abilities: { ...editable, measure: true },
    budgets: [{ posts: 300, per: 10_800, of: [] }],
  },
  {
    id: 'instagram',
    name: 'Instagram',
    code: 'IG',
    baseUrl: 'https://graph.instagram.com',
    fields: [
      field('accountId', 'Account id', 'Filled in by the check when left empty.', false, false),
      field('token', 'Access token', 'From your app’s dashboard; lasts 60 days.', true),
    ],
    placements: [
      { id: 'feed', name: 'Feed', follows: [], options: [], send: { class: 'handle' }, edit: 'no', measures: [], text: text(2200, 'chars', { maxHashtags: 30, maxMentions: 20 }), media: media(10, { min: 1, ratio: [0.8, 1.91], pull: true, altMax: 1000 }) },
      { id: 'story', name: 'Story', follows: [], options: [], send: { class: 'handle' }, edit: 'no', measures: [], text: text(0, 'chars'), media: media(1, { min: 1, derivative: 'story', pull: true, altMax: 0 }) },
    ],
    abilities: { ...abilities, delete: false },
    budgets: [{ posts: 100, per: 86_400, of: [] }],
  },
  {
    id: 'telegram',
    name: 'Telegram',
    code: 'TG',
    baseUrl: 'https://api.telegram.org',
    fields: [
      field('chat', 'Channel', 'For example `@yourchannel`; the bot must be an administrator.'),
      field('token', 'Bot token', 'From @BotFather.', true),
    ],
    placements: [{ id: 'message', name: 'Message', follows: [], options: poll(12, 100, false), send: { class: 'blind' }, edit: 'text', measures: [], text: text(4096, 'utf16', { maxWithMedia: 1024, questionMax: 300 }), media: media(10, { altMax: 0 }) }],
    abilities: { ...editable, readBack: false, altText: false },
    budgets: [{ posts: 20, per: 60, of: [] }],
  },
  {
    id: 'wordpress',
    name: 'WordPress',
    code: 'WP',
    baseUrl: '',
    fields: [
      field('server', 'Site address', 'For example `https://example.org`.'),
      field('user', 'User name', 'A user that may publish.'),
      field('appPassword', 'Application password', 'Users → Profile → Application passwords.', true),
    ],
    placements: [{ id: 'article', name: 'Article', follows: [], options: [], send: { class: 'readable', lag: 5 }, edit: 'titleAndText', measures: [], text: text(100_000, 'chars', { titleMax: 200, required: true }), media: media(20) }],
    abilities: editable,
    budgets: [],
  },
];

/** What may be done with a live delivery. */
export const canLive = (network) => {
  const { edit, measures } = networks.find((n) => n.id === network).placements[0];
  return ['rollback', ...(edit === 'no' ? [] : ['amend']), ...(measures.length ? ['measure'] : [])];
};

export function workspace(now) {
  const connection = (network, name, remoteId, more = {}) => ({
    id: uuid(`connection ${network}`),
    network,
    name,
    remoteId,
    state: 'active',
    problem: null,
    settings: {},
    waiting: 0,
    token: { expiresAt: null, renewsAt: null, renewedAt: null, endsAt: null, problem: null, scopes: null },
    budgets: [{ posts: 300, seconds: 300, left: 75, atOnce: 75, moreAt: null, placements: ['feed'], shared: false }],
    refusedUntil: null,
    lastPublishedAt: iso(now - 5 * 3_600_000),
    checkedAt: iso(now - 26 * MINUTE),
    createdAt: iso(now - 90 * DAY),
    ...more,
  });
  const connections = [
    connection('bluesky', 'marlowbread.example', 'did:plc:7iza6de2dwap2sbkpav7c6c6', { settings: { handle: 'marlowbread.example' } }),
    connection('mastodon', '@marlow@sandbox.example', '109302436954721982', { settings: { server: 'http://127.0.0.1/mastodon' } }),
    connection('instagram', 'marlow.bread', '17841405309211844', {
      state: 'needs_action',
      waiting: 3,
      settings: { accountId: '17841405309211844' },
      problem: { class: 'auth', sentence: 'The access token has expired.', action: 'reconnect', actionSentence: 'Open Connections and enter the credentials again.', code: '190/463' },
    }),
    connection('telegram', 'Marlow morning list', '-1001836452210', { settings: { chat: '@marlowmorning' } }),
    connection('wordpress', 'marlowbread.example/journal', '1', { state: 'paused', waiting: 1, settings: { server: 'https://marlowbread.example', user: 'nell' } }),
  ];
  return { connections, ...posts(now, connections) };
}

const LINES = [
  'Rye from the new mill: darker, a little sour, baked every Tuesday',
  'Saturday opening hours change: from seven until two',
  'We are looking for a second pair of early hands. Four nights, fair pay, bread for life',
  'The seeded loaf is back. You asked; we listened; the oven agreed',
  'How a sourdough starter survives a holiday: three ways, one of them lazy',
  'Reading on Thursday: Nell Marlow and the history of the penny bun',
  'Autumn menu: pear and walnut, plum cake, and the soup with too much thyme',
  'A small repair guide: your bread knife is not blunt, it is tired',
  'Tomorrow only: yesterday’s bread at half price, all of it',
  'Winter wheat is in the ground at Finch farm. Pictures from this morning',
  'Order your Christmas stollen until 12 December',
  'Why our baguette is longer on Fridays',
];

function posts(now, connections) {
  const day0 = Math.floor(now / DAY) * DAY;
  const found = [];
  const attempts = new Map();
  const attempt = (delivery, step, at, outcome, more = {}) => {
    const list = attempts.get(delivery.id) ?? [];
    list.push({
      id: uuid(`${delivery.id} ${list.length}`), fence: list.length + 1, step, startedAt: iso(at), finishedAt: iso(at + 420),
      outcome, class: null, status: null, code: null, sentence: null, action: null, requestId: null, remoteId: null, nextAttemptAt: null, ...more,
    });
    attempts.set(delivery.id, list);
    delivery.attempts = list.filter((a) => a.step === 'publish').length;
  };
  const add = (i, at, targets, state, more = {}) => {
    const id = uuid(`post ${i}`);
    const post = {
      id, text: LINES[i % LINES.length], title: null, media: [], state, scheduledAt: iso(at), timezone: 'Europe/London',
      createdAt: iso(now - 20 * DAY), updatedAt: iso(now - DAY), version: 1, thread: [], deliveries: [], ...more,
    };
    post.deliveries = targets.map((t) => {
      const c = connections.find((x) => x.network === t);
      const delivery = {
        id: uuid(`delivery ${i} ${t}`), postId: id, connectionId: c.id, connectionName: c.name, network: t,
        parentId: null, position: 0, placement: networks.find((n) => n.id === t).placements[0].id, text: null, title: null, options: {}, state: 'queued', scheduledAt: iso(at),
        nextAttemptAt: null, attempts: 0, remoteId: null, remoteUrl: null, publishedAt: null, problem: null, question: null, numbers: null, can: ['cancel'],
      };
      if (state === 'published') live(delivery, at + 1200);
      if (state === 'cancelled') Object.assign(delivery, { state: 'cancelled', can: [] });
      if (state === 'draft') delivery.can = [];
      return delivery;
    });
    found.push(post);
    return post;
  };
  const live = (delivery, at) => {
    attempt(delivery, 'publish', at, 'accepted', { status: 200, requestId: `req_${delivery.id.slice(0, 8)}`, remoteId: delivery.id.slice(0, 12) });
    Object.assign(delivery, {
      state: 'published', publishedAt: iso(at + 400), remoteId: delivery.id.slice(0, 12),
      remoteUrl: `http://127.0.0.1/${delivery.network}/${delivery.id.slice(0, 12)}`, can: canLive(delivery.network),
    });
  };

  const times = [7.5, 9, 11.25, 12.5, 16, 18.75];
  const sets = [['bluesky', 'mastodon'], ['mastodon'], ['bluesky', 'mastodon', 'telegram'], ['telegram'], ['bluesky']];
  let n = 0;
  for (let d = -24; d <= 24; d++) {
    const per = [1, 0, 2, 1, 3, 1, 0][((d % 7) + 7) % 7];
    for (let k = 0; k < per; k++) {
      const at = day0 + d * DAY + times[(n + k) % times.length] * 3_600_000;
      add(n, at, sets[n % sets.length], at < now ? 'published' : n % 11 === 5 ? 'draft' : 'scheduled', n % 3 === 0 ? { media: [picture(n)] } : {});
      n += 1;
    }
  }
  for (let k = 0; k < 6; k++) add(n++, day0 + 4 * DAY + (8 + k * 1.5) * 3_600_000, sets[k % sets.length], 'scheduled');

  const failed = add(n++, now - 2 * DAY, ['bluesky', 'mastodon'], 'partly_published');
  live(failed.deliveries[1], now - 2 * DAY);
  const bad = failed.deliveries[0];
  attempt(bad, 'publish', now - 2 * DAY, 'refused', { class: 'transient', status: 502, sentence: 'The network is not available at the moment.', action: 'wait', nextAttemptAt: iso(now - 2 * DAY + 5 * MINUTE), requestId: 'req_8f2c01' });
  attempt(bad, 'publish', now - 2 * DAY + 5 * MINUTE, 'refused', { class: 'content', status: 400, code: 'InvalidRequest', sentence: 'The picture is larger than 1 MB, which this network refuses.', action: 'edit_post', requestId: 'req_8f2c77' });
  Object.assign(bad, {
    state: 'failed', can: ['retry'],
    problem: { class: 'content', sentence: 'The picture is larger than 1 MB, which this network refuses.', action: 'edit_post', actionSentence: 'Edit the post, then schedule it again.', code: 'InvalidRequest', requestId: 'req_8f2c77', status: 400 },
  });
  const held = add(n++, now - 3 * 3_600_000, ['telegram'], 'held');
  attempt(held.deliveries[0], 'publish', now - 3 * 3_600_000, 'unknown', { class: 'unknown', sentence: 'The connection broke after the request was sent.', action: 'look' });
  Object.assign(held.deliveries[0], {
    state: 'held', question: 'is_it_live', can: ['answer', 'cancel'],
    problem: { class: 'unknown', sentence: 'The connection broke after the request was sent.', action: 'look', actionSentence: 'Look at the network whether the post is there, then answer here.', code: null, requestId: null, status: null },
  });
  const dead = add(n++, now - 6 * DAY, ['mastodon'], 'failed');
  attempt(dead.deliveries[0], 'publish', now - 6 * DAY, 'refused', { class: 'policy', status: 422, code: 'blocked', sentence: 'The server refused the post as spam.', action: 'act_at_network', requestId: 'req_51aa' });
  Object.assign(dead.deliveries[0], {
    state: 'failed', can: ['retry'],
    problem: { class: 'policy', sentence: 'The server refused the post as spam.', action: 'act_at_network', actionSentence: 'Sign in at the network and settle what it asks for.', code: 'blocked', requestId: 'req_51aa', status: 422 },
  });
  add(n++, day0 + 2 * DAY + 9 * 3_600_000, ['bluesky'], 'cancelled');
  for (let k = 0; k < 3; k++) {
    const waiting = add(n++, now - (k + 1) * 3_600_000, ['instagram'], 'held', { media: [picture(n)] });
    Object.assign(waiting.deliveries[0], {
      state: 'held', can: ['cancel', 'retry'],
      problem: { class: 'auth', sentence: 'The access token has expired.', action: 'reconnect', actionSentence: 'Open Connections and enter the credentials again.', code: '190/463', requestId: null, status: 401 },
    });
  }
  return { posts: found, attempts };
}

function picture(n) {
  const id = uuid(`media ${n}`);
  return { id, thumbUrl: `/media/${id}/thumb`, alt: n % 2 ? 'Loaves cooling on a rack' : '', state: 'ready', width: 1200, height: 900 };
}
