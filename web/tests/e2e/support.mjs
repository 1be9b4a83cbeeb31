// A Carillon of its own and a browser of its own for a test file. The server is the binary
// named by CARILLON_BIN, or with CARILLON_MOCK=1 the mock, which proves the app but not the server.
// Any console error, page error or content-security-policy violation fails the test that ran.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const MOCK = process.env.CARILLON_MOCK === '1';
export const SHOTS = new URL('./shots/', import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--lang=en-GB',
];

mkdirSync(SHOTS, { recursive: true });

/** Starts a server on a fresh folder. `restart` kills it without warning and starts it on the same port and data. */
export async function startServer({ empty = false, env = {} } = {}) {
  const data = mkdtempSync(join(tmpdir(), 'carillon-e2e-'));
  let child = await run(data, '127.0.0.1:0', empty, env);
  const read = () => JSON.parse(readFileSync(join(data, 'demo.json'), 'utf8'));
  const demo = read();
  const listen = new URL(demo.url).host;
  return {
    ...demo,
    /** The cookies of the one sign-in that the link allows. */
    cookies: null,
    kill: () => end(child, 'SIGKILL'),
    start: async () => {
      child = await run(data, listen, empty, env);
    },
    /** Trouble at the sandbox's next calls of a network. */
    fault: async (network, fault, times = 1, call = 'publish') => {
      const response = await fetch(`${read().sandboxUrl}/_faults`, { method: 'POST', body: JSON.stringify({ network, call, fault, times }) });
      assert.ok(response.ok, `the sandbox takes the fault: ${response.status}`);
    },
    /** What followers did to a post at the sandbox. */
    followers: async (network, id, numbers) => {
      const response = await fetch(`${read().sandboxUrl}/_numbers/${network}/${encodeURIComponent(id)}`, { method: 'POST', body: JSON.stringify(numbers) });
      assert.ok(response.ok, `the sandbox takes the numbers: ${response.status}`);
    },
    clearFaults: () => fetch(`${read().sandboxUrl}/_faults`, { method: 'DELETE' }),
    ledger: async (network) => {
      const response = await fetch(`${read().sandboxUrl}/_ledger/${network}`);
      assert.equal(response.status, 200, `the sandbox's ledger of ${network}`);
      return (await response.json()).posts;
    },
    api: async (path, init = {}) => {
      const headers = { authorization: `Bearer ${demo.apiKey}`, 'content-type': 'application/json', ...(MOCK && { cookie: 'carillon_session=mock' }) };
      const response = await fetch(`${demo.url}/api/v1${path}`, { ...init, headers });
      assert.ok(response.ok, `${path}: ${response.status}`);
      return response.status === 204 ? null : response.json();
    },
    stop: async () => {
      await end(child, 'SIGTERM');
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function run(data, listen, empty, env) {
  const bin = process.env.CARILLON_BIN;
  if (!MOCK && !bin) throw new Error('set CARILLON_BIN to a binary that was built without debug assertions, or CARILLON_MOCK=1');
  const mock = new URL('../mock/serve.mjs', import.meta.url).pathname;
  const child = MOCK
    ? spawn(process.execPath, [mock, '--listen', listen, '--data', data, ...(empty ? ['--empty'] : [])])
    : spawn(bin, ['serve', '--demo', '--listen', listen, '--data', data], { env: { ...process.env, ...env } });
  let output = '';
  child.stdout.on('data', (d) => (output += d));
  child.stderr.on('data', (d) => (output += d));
  const started = Date.now();
  for (;;) {
    const fresh = statSync(join(data, 'demo.json'), { throwIfNoEntry: false });
    if (fresh && fresh.mtimeMs >= started - 50 && (await answers(data))) return child;
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output}`);
    if (Date.now() - started > 60_000) {
      child.kill('SIGKILL');
      throw new Error(`the server did not start within 60 s:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function answers(data) {
  try {
    const { url } = JSON.parse(readFileSync(join(data, 'demo.json'), 'utf8'));
    return (await fetch(`${url}/login`)).status < 500;
  } catch {
    return false;
  }
}

function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill(signal);
  });
}

/** A browser with its own profile; `open` gives pages that collect everything that went wrong. */
export async function startBrowser() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell', args: FLAGS, env: { ...process.env, LANGUAGE: 'en_GB', LANG: 'en_GB.UTF-8' } });
  return {
    open: async (options = {}) => {
      const { width = 1440, height = 900, scheme = 'light', ...more } = options;
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: scheme,
        locale: 'en-GB',
        timezoneId: 'Europe/London',
        reducedMotion: 'reduce',
        ...(width < 500 && { isMobile: true, hasTouch: true }),
        ...more,
      });
      const page = await context.newPage();
      const wrong = [];
      page.on('pageerror', (error) => wrong.push(`page error: ${error.stack ?? error}`));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') wrong.push(`console ${message.type()}: ${message.text()} ${message.location().url}`);
      });
      await page.addInitScript(() => {
        addEventListener('securitypolicyviolation', (e) => console.error(`CSP violation: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
      });
      return { page, context, wrong };
    },
    close: () => browser.close(),
  };
}

/** Fails when the page reported anything, but for what the test says it provoked. */
export function assertQuiet(wrong, allowed = []) {
  const left = wrong.filter((line) => !allowed.some((pattern) => pattern.test(line)));
  assert.deepEqual(left, [], 'console errors, page errors or CSP violations');
}

/** Signs in by the link, once per server; later pages get the same session. */
export async function signIn(page, server) {
  if (server.cookies) await page.context().addCookies(server.cookies);
  await page.goto(server.cookies ? `${server.url}/planner` : server.loginUrl);
  await page.waitForURL('**/planner');
  await page.getByText('live', { exact: true }).waitFor();
  server.cookies = await page.context().cookies();
}

/** Zero violations of WCAG A and AA and of axe's best practices. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  const lines = found.violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).slice(0, 3).join(' | ')}`);
  assert.deepEqual(lines, [], `accessibility of ${what}`);
}

/** What was changed last is on the screen. */
export async function drawn(page) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

export async function shot(page, name) {
  await drawn(page);
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}
