// Points the networks' own client libraries at a sandbox: node run.mjs http://127.0.0.1:4000 FIELDS
// FIELDS is JSON: what the account `judge` enters at each network.
//
// The libraries were written by others against the real networks, so what they can read, the sandbox
// says as the network does. One line of JSON a judge; the first complaint ends the run with status 1.

import { createServer, request } from 'node:http';
import { readFileSync } from 'node:fs';

import { consent } from './consent.mjs';
import { reroute } from './reroute.mjs';

/** Each the file of a network, or of several that it names. */
const JUDGES = [
  'mastodon', 'telegram', 'bluesky', 'facebook', 'wordpress', 'discord', 'slack', 'ghost', 'nostr', 'instagram', 'x', 'linkedin',
  'pinterest', 'reddit', 'tumblr', 'youtube', 'gbp', 'matrix', 'lemmy', 'devto', 'arctic',
];

const sandbox = new URL(process.argv[2]);
const fields = JSON.parse(process.argv[3]);

/** The app that the sandbox knows. */
const app = { id: 'sandbox-app', secret: 'sandbox-app-secret', back: 'https://carillon.example/back' };

/** A JPEG of one pixel. */
const picture = Buffer.from(
  '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=',
  'base64',
);

async function listen(answer) {
  const server = createServer(answer);
  // No library waits for a connection that another request has left.
  server.maxRequestsPerSocket = 1;
  // pinterest-node-api writes a body behind requests that have none.
  server.on('clientError', () => {});
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

/** A server whose root is one network of the sandbox: most libraries know no path before theirs. */
function rooted(network) {
  const { hostname, port } = sandbox;
  return listen((from, to) => {
    const path = `/${network}${from.url}`;
    const on = request({ hostname, port, path, method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    on.on('error', () => to.destroy());
    from.pipe(on);
  });
}

/** What followers see at a network. */
async function ledger(network) {
  const answer = await fetch(new URL(`/_ledger/${network}`, sandbox));
  const { posts } = await answer.json();
  return posts.filter((post) => post.deleted_at === null);
}

/** Asks again until it is so, for networks that take their time. */
async function until(so) {
  const end = Date.now() + 30_000;
  while (!(await so())) {
    if (Date.now() > end) throw new Error(`not in 30 seconds: ${so}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

function version(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

// Some libraries talk of what they do.
console.log = console.info = console.debug = console.error;

const pictures = await listen((_, to) => to.writeHead(200, { 'content-type': 'image/jpeg' }).end(picture));
for (const name of JUDGES) {
  const { client, judge, networks = [name] } = await import(`./${name}.mjs`);
  for (const network of networks) {
    const { url, stop } = await rooted(network);
    reroute(url);
    try {
      const own = { network, url, fields: fields[network], ledger: () => ledger(network) };
      const did = await judge({ ...own, app, consent, until, picture, pictureUrl: `${pictures.url}/judge.jpg` });
      process.stdout.write(`${JSON.stringify({ network, client, version: version(client), did })}\n`);
    } catch (error) {
      console.error(`${client} does not take the sandbox for ${network}:`, error);
      process.exit(1);
    } finally {
      stop();
    }
  }
}
pictures.stop();
