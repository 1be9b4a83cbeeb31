// What several journeys need: connections of the demo by network, posts made through the API, and
// finding a post's chip although its day may show only some.

import assert from 'node:assert/strict';

let n = 0;
/** Words that no other post has. */
export const words = (what) => `${what} ${Date.now().toString(36)}${(n++).toString(36)}`;

/** The demo's first working connection of a network; `label` is how chips and tabs name it. */
export async function connectionOf(server, network) {
  const { items } = await server.api('/connections');
  const found = items.find((c) => c.network === network && c.state === 'active');
  assert.ok(found, `the demo has a working ${network} connection`);
  const { code } = (await server.api('/networks')).items.find((n) => n.id === network);
  const escaped = found.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return { ...found, label: new RegExp(`^${code}\\s*${escaped}`) };
}

/** Every post that has a time. */
export async function allPosts(server) {
  return (await server.api('/posts?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1000')).items;
}

/** The 10th of next month at noon UTC plus `days`, and that month: far from what the demo does now. */
export function nextMonth(days = 0) {
  const now = new Date();
  const at = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 10 + days, 12));
  return { at: at.toISOString(), day: at.toISOString().slice(0, 10), month: at.toISOString().slice(0, 7) };
}

export async function schedule(server, text, at, networks = ['bluesky']) {
  const deliveries = [];
  for (const network of networks) deliveries.push({ connectionId: (await connectionOf(server, network)).id });
  return server.api('/posts', { method: 'POST', body: JSON.stringify({ text, media: [], scheduledAt: at, timezone: 'Europe/London', allowCollision: true, deliveries }) });
}

/** The chip whose post begins with these words; opens "n more" where it hides. */
export async function chipOf(page, text, state = '') {
  const chip = page.getByRole('link', { name: new RegExp(`${state}.*${text}`, 's') });
  await until(`a chip that says “${text}”`, async () => {
    if (await chip.first().isVisible()) return true;
    const more = page.getByRole('button', { name: /^\d+ more$/ }).first();
    if (await more.isVisible()) await more.click();
    return false;
  });
  assert.equal(await chip.count(), 1, `one chip says “${text}”`);
  return chip;
}

/** The cell of a day, by the full date that its button carries. */
export function cellOf(page, day) {
  const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: 'UTC' }).format(new Date(`${day}T12:00:00Z`));
  return page.getByRole('gridcell').filter({ has: page.getByRole('button', { name: date }) });
}

export async function openComposer(page) {
  // The keys work once the app stands.
  await page.getByText('live', { exact: true }).waitFor();
  await page.keyboard.press('n');
  const dialog = page.getByRole('dialog', { name: 'New post' });
  await dialog.waitFor();
  return dialog;
}

/** Leaves exactly these connections chosen. */
export async function choose(dialog, ...connections) {
  for (const box of await dialog.getByRole('checkbox').all()) await box.uncheck();
  for (const c of connections) await dialog.getByRole('checkbox', { name: c.label }).check();
}

/** Runs `probe` until it returns something true, at most 60 s. */
export async function until(what, probe, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < end, `waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Sends a text at once to networks. */
export async function sendNow(server, text, networks) {
  const deliveries = [];
  for (const network of networks) deliveries.push({ connectionId: (await connectionOf(server, network)).id });
  return server.api('/posts', { method: 'POST', body: JSON.stringify({ text, media: [], timezone: 'Europe/London', allowCollision: true, deliveries }) });
}

/** For `startServer`: trouble at a network is settled within seconds, and stops no other post. */
export const QUICK = { CARILLON_RETRIES: '1s', CARILLON_VERIFY_AFTER: '1s,1s', CARILLON_BREAKER_FAILURES: '1000' };

/** A post that failed for good at a network of a server that is QUICK, whose trouble is over. */
export async function deadLetter(server, text, network = 'mastodon') {
  await server.fault(network, 'reset_before_accept', 50);
  const post = await sendNow(server, text, [network]);
  const dead = await until(`“${text}” to fail`, async () => {
    const { deliveries } = await server.api(`/posts/${post.id}`);
    return deliveries[0].state === 'failed' && deliveries[0];
  });
  await server.clearFaults();
  return dead;
}

/** A post of which nobody knows whether it is live: Telegram took it and broke the line. */
export async function doubt(server, text) {
  await server.fault('telegram', 'reset_after_accept');
  const post = await sendNow(server, text, ['telegram']);
  return until(`“${text}” to be in doubt`, async () => {
    const { deliveries } = await server.api(`/posts/${post.id}`);
    return deliveries[0].question === 'is_it_live' && deliveries[0];
  });
}

/** What is visible at a network and holds these words. */
export async function visible(server, network, text) {
  return (await server.ledger(network)).filter((p) => p.text.includes(text) && !p.deleted_at);
}
