// Points the networks' own client libraries at a sandbox: node run.mjs http://127.0.0.1:4000 FIELDS
// FIELDS is JSON: what the account `judge` enters at each network.
//
// The libraries were written by others against the real networks, so what they can read, the sandbox
// says as the network does. One line of JSON a judge; the first complaint ends the run with status 1.

import { createServer, request } from 'node:http';
import { readFileSync } from 'node:fs';

const JUDGES = ['mastodon', 'telegram', 'bluesky', 'facebook', 'wordpress', 'discord', 'slack', 'ghost', 'nostr'];

const sandbox = new URL(process.argv[2]);
const fields = JSON.parse(process.argv[3]);

/** A server whose root is one network of the sandbox: most libraries know no path before theirs. */
async function rooted(network) {
  const server = createServer((from, to) => {
    const { hostname, port } = sandbox;
    const path = `/${network}${from.url}`;
    const on = request({ hostname, port, path, method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    on.on('error', () => to.destroy());
    from.pipe(on);
  });
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

/** What followers see at a network. */
async function ledger(network) {
  const answer = await fetch(new URL(`/_ledger/${network}`, sandbox));
  const { posts } = await answer.json();
  return posts.filter((post) => post.deleted_at === null);
}

function version(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

for (const network of JUDGES) {
  const { client, judge } = await import(`./${network}.mjs`);
  const { url, stop } = await rooted(network);
  try {
    const did = await judge({ url, fields: fields[network], ledger: () => ledger(network) });
    console.log(JSON.stringify({ network, client, version: version(client), did }));
  } catch (error) {
    console.error(`${client} does not take the sandbox for ${network}:`, error);
    process.exitCode = 1;
    break;
  } finally {
    stop();
  }
}
