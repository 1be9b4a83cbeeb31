// After `vite build`: compresses what is served, writes `dist/preload.json` (which further chunks
// and styles a route needs, so that the server can name them in the shell) and fails when a route
// is heavier than its budget. Sizes are gzip -9 of everything that the route loads.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = new URL('../dist/', import.meta.url).pathname;
const BUDGET = { js: 90 * 1024, css: 20 * 1024 };

// Route → the modules that it imports on demand before its first paint. Keys are the server's paths.
const ROUTES = {
  '/': ['src/features/planner/Planner.svelte'],
  '/planner': ['src/features/planner/Planner.svelte'],
  '/planner/{view}': ['src/features/planner/Planner.svelte'],
  '/planner/{view}/{date}': ['src/features/planner/Planner.svelte'],
  '/planner/week': ['src/features/planner/Planner.svelte', 'src/features/planner/Week.svelte'],
  '/planner/week/{date}': ['src/features/planner/Planner.svelte', 'src/features/planner/Week.svelte'],
  '/posts/{id}': ['src/features/planner/Planner.svelte', 'src/features/post/Panel.svelte'],
  '/campaigns': ['src/features/campaigns/Campaigns.svelte'],
  '/connections': ['src/features/connections/Connections.svelte'],
  '/connections/diagnostics': ['src/features/connections/Diagnostics.svelte'],
  '/media': ['src/features/media/Media.svelte'],
  '/transfer': ['src/features/bulk/Transfer.svelte'],
  '/queue': ['src/features/queue/Queue.svelte'],
  '/reviews': ['src/features/reviews/Reviews.svelte'],
  '/dead-letters': ['src/features/dead-letters/DeadLetters.svelte'],
  '/apps': ['src/features/apps/Apps.svelte'],
  '/trash': ['src/features/trash/Trash.svelte'],
  '/audit': ['src/features/audit/Audit.svelte'],
};
// Dialogs that open later; counted against the budget together with the route that opens them.
const LAZY = {
  '/planner + composer': ['/planner', 'src/features/composer/Composer.svelte'],
  '/planner + all of its own': ['/planner/week', 'src/features/planner/DayDialog.svelte', 'src/features/planner/SelectionBar.svelte', 'src/features/post/Panel.svelte'],
  '/planner + palette': ['/planner', 'src/app/Palette.svelte'],
  '/planner + needs you': ['/planner', 'src/features/needs/NeedsDialog.svelte'],
  '/dead-letters + panel': ['/dead-letters', 'src/features/post/Panel.svelte'],
};

const manifest = JSON.parse(readFileSync(join(DIST, '.vite/manifest.json'), 'utf8'));

compress(DIST);
const entry = closure(['index.html']);
const preload = {};
const rows = [];
for (const [route, modules] of Object.entries(ROUTES)) {
  const all = closure(['index.html', ...modules.filter((m) => manifest[m])]);
  preload[route] = {
    js: [...all.js].filter((f) => !entry.js.has(f)).map(url),
    css: [...all.css].filter((f) => !entry.css.has(f)).map(url),
    font: font(),
  };
  rows.push(measure(route, all));
}
for (const [name, [route, ...modules]] of Object.entries(LAZY)) {
  rows.push(measure(name, closure(['index.html', ...ROUTES[route], ...modules].filter((m) => manifest[m]))));
}
writeFileSync(join(DIST, 'preload.json'), JSON.stringify(preload, null, 1));

let over = false;
for (const { name, js, css } of rows) {
  const bad = js > BUDGET.js || css > BUDGET.css;
  over ||= bad;
  console.log(`${bad ? 'OVER' : 'ok  '} ${name.padEnd(26)} js ${kb(js)}  css ${kb(css)}`);
}
if (over) {
  console.error(`over budget: at most js ${kb(BUDGET.js)}, css ${kb(BUDGET.css)} (gzip) a route`);
  process.exit(1);
}

/** Every file that these modules load without being asked again. */
function closure(keys, found = { js: new Set(), css: new Set(), seen: new Set() }) {
  for (const key of keys) {
    if (found.seen.has(key)) continue;
    found.seen.add(key);
    const chunk = manifest[key];
    if (!chunk) throw new Error(`no chunk for ${key} in the manifest`);
    found.js.add(chunk.file);
    for (const css of chunk.css ?? []) found.css.add(css);
    closure(chunk.imports ?? [], found);
  }
  return found;
}

function measure(name, files) {
  const sum = (set) => [...set].reduce((n, f) => n + gzipSync(readFileSync(join(DIST, f)), { level: 9 }).length, 0);
  return { name, js: sum(files.js), css: sum(files.css) };
}

/** The one font that the first paint needs. */
function font() {
  const file = readdirSync(join(DIST, 'assets')).find((f) => /hyperlegible-next-latin-wght-normal.*\.woff2$/.test(f));
  return file ? `/assets/${file}` : null;
}

function compress(folder) {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, item.name);
    if (item.isDirectory()) {
      if (item.name !== '.vite') compress(path);
    } else if (['.js', '.css', '.svg'].includes(extname(item.name))) {
      const bytes = readFileSync(path);
      const params = {
        [constants.BROTLI_PARAM_QUALITY]: 11,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      };
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    }
  }
}

function url(file) {
  return `/${file}`;
}
function kb(bytes) {
  return `${(bytes / 1024).toFixed(1)} KB`.padStart(8);
}
