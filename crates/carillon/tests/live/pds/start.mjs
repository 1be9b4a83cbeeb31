#!/usr/bin/env node
// A real Bluesky PDS with its own PLC directory: start.mjs DIR prints
// {"url","identifier","password","did"} (an account and its app password) and lives until its stdin closes
// or it gets TERM. Both servers run in this one process, on loopback, so nothing can outlive it.
//
// The packages come from the cache that `scripts/install pds` fills, keyed as there.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import path from 'node:path';

const MAX_PORT_TRIES = 5;

function fail(message, hint) {
  console.error(`error: ${message}\nhint: ${hint}`);
  process.exit(1);
}

/** The folder that scripts/install made for this lock file, this node and this system. */
function packagesHome() {
  const cache = process.env.CARILLON_CACHE || path.join(homedir(), '.cache', 'carillon');
  const lock = readFileSync(new URL('package-lock.json', import.meta.url));
  const sum = createHash('sha256').update(lock).digest('hex').slice(0, 20);
  const system = execFileSync('uname', ['-sm'], { encoding: 'utf8' }).trim().replaceAll(' ', '-');
  const home = path.join(cache, 'pds', `${sum}-node${process.versions.modules}-${system}`);
  if (!existsSync(path.join(home, 'node_modules'))) fail(`the PDS is not installed in ${home}`, 'scripts/install pds');
  return home;
}

/** Express apps listen on every address unless told: these stay on loopback. */
function onLoopback(app) {
  app.listen = (port) => http.createServer(app).listen(port, '127.0.0.1');
}

async function freePort() {
  const server = http.createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startPlc({ PlcServer, Database }) {
  const plc = PlcServer.create({ db: Database.mock(), port: 0 });
  onLoopback(plc.app);
  const server = await plc.start();
  return `http://127.0.0.1:${server.address().port}`;
}

/** A PDS must know its port before it starts, so a port that was taken meanwhile means another try. */
async function startPds({ PDS, envToCfg, envToSecrets }, didPlcUrl, folder) {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const home = path.join(folder, `pds-${attempt}`);
    mkdirSync(path.join(home, 'blobs'), { recursive: true });
    const env = {
      hostname: 'localhost',
      port,
      devMode: true,
      dataDirectory: home,
      blobstoreDiskLocation: path.join(home, 'blobs'),
      blobstoreDiskTmpLocation: path.join(home, 'blobs-tmp'),
      didPlcUrl,
      enableDidDocWithSession: true, // as the public servers do: it names the PDS to talk to
      inviteRequired: false,
      serviceHandleDomains: ['.test'],
      jwtSecret: randomBytes(16).toString('hex'),
      adminPassword: randomBytes(16).toString('hex'),
      dpopSecret: randomBytes(32).toString('hex'),
      plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
      disableSsrfProtection: true,
      rateLimitsEnabled: process.env.CARILLON_PDS_RATE_LIMITS === 'true',
      crawlers: [],
      handleBackupNameservers: [],
      trustedOAuthClients: [],
      rateLimitBypassIps: [],
    };
    const pds = await PDS.create(envToCfg(env), envToSecrets(env));
    onLoopback(pds.app);
    try {
      await pds.start();
      return `http://localhost:${port}`;
    } catch (error) {
      if (error.code !== 'EADDRINUSE' || attempt === MAX_PORT_TRIES) throw error;
    }
  }
}

async function call(url, method, body, token) {
  const response = await fetch(`${url}/xrpc/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function createAccount(url) {
  const account = await call(url, 'com.atproto.server.createAccount', {
    handle: 'alice.test',
    email: 'alice@example.test',
    password: randomBytes(12).toString('hex'),
  });
  const app = await call(url, 'com.atproto.server.createAppPassword', { name: 'Carillon' }, account.accessJwt);
  return { identifier: account.handle, password: app.password, did: account.did };
}

const dir = process.argv[2] ?? fail('no folder named', 'start.mjs DIR');
const require = createRequire(path.join(packagesHome(), 'package.json'));
const folder = path.resolve(dir, 'pds');
mkdirSync(dir, { recursive: true });
mkdirSync(folder);

function stop(code) {
  rmSync(folder, { recursive: true, force: true });
  if (readdirSync(dir).length === 0) rmdirSync(dir);
  process.exit(code);
}
process.on('SIGTERM', () => stop(143));
process.on('SIGINT', () => stop(130));
process.stdout.on('error', () => stop(1));
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => {
    console.error(`error: ${error?.stack ?? error}`);
    stop(1);
  });
}
process.stdin.on('end', () => stop(0)).on('error', () => stop(1)).resume();

const plcUrl = await startPlc(require('@did-plc/server'));
const url = await startPds(require('@atproto/pds'), plcUrl, folder);
console.log(JSON.stringify({ url, ...(await createAccount(url)) }));
