// Requests over TLS go to the network at hand: most libraries know one address, and none may leave this machine.

import http from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { urlToHttpOptions } from 'node:url';

let there;
let also;

/** From now on they go to `url`, with these headers beside their own. */
export function reroute(url, headers = {}) {
  there = new URL(url);
  also = headers;
}

function rerouted(options) {
  const headers = { ...options.headers, ...also };
  for (const name of Object.keys(headers)) if (name.toLowerCase() === 'host') delete headers[name];
  const { hostname, port } = there;
  return { ...options, protocol: 'http:', host: hostname, hostname, port, agent: undefined, headers };
}

https.request = (first, ...rest) => {
  if (typeof first === 'object' && !(first instanceof URL)) return http.request(rerouted(first), ...rest);
  const more = typeof rest[0] === 'object' ? rest.shift() : {};
  return http.request(rerouted({ ...urlToHttpOptions(new URL(first)), ...more }), ...rest);
};
https.get = (...args) => {
  const request = https.request(...args);
  request.end();
  return request;
};
syncBuiltinESMExports();

const direct = globalThis.fetch;
globalThis.fetch = async (asked, init = {}) => {
  const request = asked instanceof Request ? asked : undefined;
  const url = new URL(request?.url ?? asked);
  if (url.protocol !== 'https:') return direct(asked, init);
  const body = request?.body ? { body: await request.arrayBuffer() } : {};
  const own = request ? { method: request.method, headers: request.headers, redirect: request.redirect, ...body } : {};
  const headers = new Headers(init.headers ?? own.headers);
  for (const [name, value] of Object.entries(also)) headers.set(name, value);
  return direct(new URL(url.pathname + url.search, there), { ...own, ...init, headers });
};
