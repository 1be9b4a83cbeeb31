// The operator's part of the mock: pauses, lanes, circuits, sweeps, dead letters, alerts and the
// audit trail over the mock's own posts and connections.

import { iso, uuid } from './data.mjs';

const DEAD = ['failed', 'held', 'missed'];
const MINUTE = 60_000;

export function desk({ posts, connections, deliveryOf, touch, emit, Refusal, now, session }) {
  const pauses = new Map();
  const audit = [];
  const actor = `account:${session.account.id}`;
  const note = (action, subject, data = {}) => {
    audit.unshift({ id: uuid(`audit ${audit.length} ${now()}`), at: iso(now()), actor, actorName: session.account.name, action, subject, data });
  };
  const circuits = new Map([
    ['mastodon', { name: 'mastodon', network: 'mastodon', state: 'open', failures: 5, openedAt: iso(now() - MINUTE), openUntil: iso(now() + 4 * MINUTE), reason: 'The network gave no answer within 30 s.' }],
    ['bluesky', { name: 'bluesky', network: 'bluesky', state: 'closed', failures: 2, openedAt: null, openUntil: null, reason: null }],
  ]);
  const sweeps = [3, 63, 123].map((m, i) => ({ id: uuid(`sweep ${i}`), at: iso(now() - m * MINUTE), cause: i === 2 ? 'start' : 'cron', freed: i, unknown: i === 1 ? 1 : 0, repaired: 0, ms: 3 + i }));

  const letterOf = (post, d) => ({
    ...d, can: [...d.can.filter((c) => c !== 'cancel'), 'mark_posted', 'discard'], postText: post.text.slice(0, 280), postTitle: post.title, cause: d.problem?.class ?? 'late', since: d.scheduledAt,
    replay: d.question ? { safe: false, why: 'It may be live already: answer first whether it is.' } : { safe: true, why: 'It was not sent: the last answer leaves no doubt.' },
  });
  const letters = () => [...posts.values()].flatMap((p) => p.deliveries.filter((d) => DEAD.includes(d.state)).map((d) => letterOf(p, d)));
  const matching = (f) => letters().filter((d) =>
    (!f.state || f.state.split(',').includes(d.state)) && (!f.cause || f.cause.split(',').includes(d.cause)) && (!f.network || f.network === d.network) &&
    (!f.connectionId || f.connectionId === d.connectionId) && (!f.from || d.since >= f.from) && (!f.to || d.since < f.to),
  ).sort((a, b) => b.since.localeCompare(a.since));
  const retry = (id, text) => {
    const [p, d] = deliveryOf(id);
    if (text !== undefined) d.text = text;
    Object.assign(d, { state: 'queued', scheduledAt: iso(now()), problem: null, question: null, can: ['cancel'] });
    touch(p);
    note('delivery.retried', id, { postId: p.id });
    return d;
  };
  const lanes = () => [...connections.values()].map((c) => {
    const open = [...posts.values()].filter((p) => p.state !== 'draft').flatMap((p) => p.deliveries.filter((d) => d.connectionId === c.id && d.state === 'queued'));
    const due = open.filter((d) => Date.parse(d.scheduledAt) <= now());
    const circuit = circuits.get(c.network);
    return {
      lane: `connection:${c.id}`, connectionId: c.id, connectionName: c.name, network: c.network, waiting: due.length, delayed: open.length - due.length, active: 0,
      nextAt: open.map((d) => d.scheduledAt).sort()[0] ?? null, openAt: c.network === 'telegram' ? iso(now() + 3 * MINUTE) : null,
      circuitUntil: circuit?.state === 'open' ? circuit.openUntil : null, pausedAt: c.state === 'active' ? null : iso(now()),
      pausedWhy: c.state === 'paused' ? 'a person paused it' : null, shutBy: [...pauses.keys()].find((s) => s === 'all' || s === `network:${c.network}`) ?? null,
    };
  });

  return [
    ['GET', '/dead-letters', (_, __, ___, query) => {
      const f = Object.fromEntries(query);
      const found = matching(f);
      const counts = new Map();
      for (const { cause } of matching({ ...f, cause: undefined })) counts.set(cause, (counts.get(cause) ?? 0) + 1);
      const causes = [...counts].map(([cause, count]) => ({ cause, count }));
      return { items: found.slice(0, Number(query.get('limit') ?? 50)), next: null, total: found.length, causes };
    }],
    ['POST', '/dead-letters/replay', (_, body) => {
      const which = body.ids ? letters().filter((d) => body.ids.includes(d.id)) : matching(body.filter ?? {});
      const safe = which.filter((d) => d.replay.safe);
      if (!body.dryRun) for (const d of safe) retry(d.id);
      return { dryRun: Boolean(body.dryRun), replayed: safe.map(({ id }) => ({ id })), skipped: which.filter((d) => !d.replay.safe).map(({ id, replay }) => ({ id, code: 'in_doubt', sentence: replay.why })) };
    }],
    ['POST', '/deliveries/:id/retry', ({ id }, body) => retry(id, body.text)],
    ['POST', '/deliveries/:id/discard', ({ id }) => {
      const [p, d] = deliveryOf(id);
      Object.assign(d, { state: 'cancelled', question: null, problem: null, can: [] });
      touch(p);
      note('delivery.discarded', id, { postId: p.id });
      return d;
    }],
    ['GET', '/pauses', () => ({ items: [...pauses.values()] })],
    ['POST', '/pauses', (_, { scope, why = '' }) => {
      pauses.set(scope, { scope, why, pausedAt: iso(now()), actor, wide: false });
      note('pause.added', scope, { why });
      emit('pause', { kind: 'pause.added', id: scope });
      return [201, pauses.get(scope)];
    }],
    ['DELETE', '/pauses/:scope', ({ scope }) => {
      const name = decodeURIComponent(scope);
      if (!pauses.delete(name)) throw new Refusal(404, 'not_found', 'There is no such pause.');
      note('pause.lifted', name);
      return null;
    }],
    ['GET', '/queue/stats', () => {
      const sum = (key) => lanes().reduce((n, lane) => n + lane[key], 0);
      return { active: 0, waiting: sum('waiting'), delayed: sum('delayed'), completed: 812, failed: letters().length, paused: 0, completedLastMinute: 4, failedLastMinute: 0, meanMs: 212, total: 900, time: iso(now()) };
    }],
    ['GET', '/queue/lanes', () => ({ items: lanes() })],
    ['POST', '/queue/drain', (_, body) => {
      const found = [...posts.values()].flatMap((p) => p.deliveries.filter((d) => d.state === 'queued' && p.state !== 'draft' && (!body.network || d.network === body.network) && (!body.connectionId || d.connectionId === body.connectionId) && body.states.includes(Date.parse(d.scheduledAt) <= now() ? 'waiting' : 'delayed')).map((d) => [p, d]));
      if (body.dryRun === false) for (const [p, d] of found) (Object.assign(d, { state: 'cancelled', can: [] }), touch(p), note('delivery.drained', d.id));
      return { dryRun: body.dryRun !== false, drained: found.map(([, { id }]) => ({ id })), count: found.length };
    }],
    ['GET', '/circuits', () => ({ items: [...circuits.values()] })],
    ['POST', '/circuits/:name/reset', ({ name }) => {
      const circuit = circuits.get(decodeURIComponent(name));
      if (!circuit) throw new Refusal(404, 'not_found', 'There is no such circuit.');
      note('circuit.reset', circuit.name);
      return Object.assign(circuit, { state: 'closed', failures: 0, openedAt: null, openUntil: null, reason: null });
    }],
    ['GET', '/sweeps', (_, __, ___, query) => ({ items: sweeps.slice(0, Number(query.get('limit') ?? 50)) })],
    ['POST', '/sweeps', () => {
      sweeps.unshift({ id: uuid(`sweep ${sweeps.length} ${now()}`), at: iso(now()), cause: 'person', freed: 0, unknown: 0, repaired: 0, ms: 2 });
      note('sweep.done', 'queue');
      return sweeps[0];
    }],
    ['GET', '/audit', (_, __, ___, query) => ({ items: audit.filter((a) => !query.get('action') || a.action === query.get('action')).slice(0, 50), next: null })],
    ['GET', '/alerts', () => ({
      items: [...connections.values()].filter((c) => c.state === 'needs_action').map((c) => ({
        id: uuid(`alert ${c.id}`), kind: 'connection_needs_action', subject: c.id, sentence: `${c.name} cannot publish: the access token has expired.`,
        action: 'reconnect', actionSentence: 'Open Connections and enter the credentials again.', raisedAt: iso(now() - 40 * MINUTE), clearedAt: null,
      })),
    })],
  ];
}
