// The peer's page, built for production, behind the same server's API: compressed once, cached never,
// as the first visit finds it.

import { createServer, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const HTML = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Planner</title><link rel="stylesheet" href="/page.css"><div id="root"></div><script type="module" src="/page.js"></script></html>';
const TYPES = { js: 'text/javascript', css: 'text/css', html: 'text/html; charset=utf-8' };

/** `api` and `key`: where the posts are. */
export async function serve({ api, key }) {
  const here = new URL('.', import.meta.url).pathname;
  const made = await build({
    absWorkingDir: here,
    entryPoints: ['page.jsx'],
    outdir: 'out',
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const files = new Map([['/', gzipSync(HTML)], ...made.outputFiles.map((f) => [`/${f.path.split('/').pop()}`, gzipSync(f.contents, { level: 9 })])]);
  const server = createServer((asked, answer) => {
    const path = new URL(asked.url, 'http://x').pathname;
    const file = files.get(path);
    if (file) {
      answer.writeHead(200, { 'content-type': TYPES[path.split('.')[1] ?? 'html'], 'content-encoding': 'gzip', 'cache-control': 'no-store' });
      return answer.end(file);
    }
    if (!path.startsWith('/api/')) return answer.writeHead(204).end();
    const headers = { authorization: `Bearer ${key}`, 'accept-encoding': asked.headers['accept-encoding'] ?? '' };
    const passed = request(api + asked.url, { headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    passed.on('error', () => answer.writeHead(502).end());
    passed.end();
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => server.close(),
  };
}
