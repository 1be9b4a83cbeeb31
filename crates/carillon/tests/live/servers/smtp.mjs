#!/usr/bin/env node
// A real mail server: smtp.mjs DIR prints {"starttls","tls","username","password","certificate","inbox"}, two ports and two
// paths, and lives as life.mjs says.
//
// It takes mail after signing in, which it allows on an encrypted connection only, from `news@bakery.example` and for any
// reader but `nobody@…`, up to a million bytes. What it took stands in the inbox, N.json, read by a parser of others.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { listen, load, ready } from './life.mjs';

const { SMTPServer } = await load('smtp-server');
const { default: PostalMime } = await load('postal-mime');

const folder = path.resolve(process.argv[2], 'smtp');
const inbox = path.join(folder, 'inbox');
mkdirSync(inbox, { recursive: true });
const username = 'bakery';
const password = randomBytes(12).toString('hex');

/** A certificate of its own for this machine's address. */
function certified() {
  const at = (name) => path.join(folder, name);
  const asked = ['[req]', 'distinguished_name=dn', 'x509_extensions=ext', 'prompt=no', '[dn]', 'CN=localhost', '[ext]'];
  asked.push('basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost,IP:127.0.0.1', 'extendedKeyUsage=serverAuth', '');
  writeFileSync(at('openssl.cnf'), asked.join('\n'));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key.pem')];
  const kept = ['-x509', '-days', '2', '-config', at('openssl.cnf'), '-out', at('certificate.pem')];
  execFileSync('openssl', ['req', ...key, ...kept], { stdio: ['ignore', 'ignore', 'inherit'] });
  return { key: readFileSync(at('key.pem')), cert: readFileSync(at('certificate.pem')), certificate: at('certificate.pem') };
}

function refuse(responseCode, message) {
  return Object.assign(new Error(message), { responseCode });
}

let taken = 0;

async function take(stream, session) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  if (stream.sizeExceeded) throw refuse(552, 'Message too large');
  const mail = await PostalMime.parse(Buffer.concat(chunks));
  const readers = session.envelope.rcptTo.map((reader) => reader.address);
  const attachments = mail.attachments.map(({ filename, mimeType, content }) => ({ filename, mimeType, bytes: content.byteLength }));
  taken += 1;
  const { from, to, subject, messageId, text, html } = mail;
  writeFileSync(path.join(inbox, `${taken}.json`), JSON.stringify({ readers, from, to, subject, messageId, text, html, attachments }));
}

function serve(secure, { key, cert }) {
  const server = new SMTPServer({
    secure,
    key,
    cert,
    size: 1_000_000,
    authMethods: ['PLAIN', 'LOGIN'],
    onAuth(given, _, done) {
      const known = given.username === username && given.password === password;
      done(known ? null : refuse(535, 'Authentication credentials invalid'), { user: username });
    },
    onMailFrom({ address }, _, done) {
      done(address === 'news@bakery.example' ? null : refuse(553, 'Sender address not owned by this user'));
    },
    onRcptTo({ address }, _, done) {
      done(address.startsWith('nobody@') ? refuse(550, 'No such user here') : null);
    },
    onData(stream, session, done) {
      take(stream, session).then(() => done(null, 'Taken'), done);
    },
  });
  // Clients that find out that they do not trust it end the line in the middle.
  server.on('error', (error) => console.error(`smtp: ${error.message}`));
  return listen(server.server);
}

const { certificate, ...keys } = certified();
const [starttls, tls] = [await serve(false, keys), await serve(true, keys)];
ready({ starttls, tls, username, password, certificate, inbox });
