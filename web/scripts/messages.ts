// English comes with the code that says it: a module that names a message imports the messages of
// that area (`queue.…`), so that a page loads the words of what is on it and no others. Other
// languages are a file each, loaded by those who read them (src/app/i18n.ts).

import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const FILE = new URL('../src/messages/en.json', import.meta.url).pathname;
const SRC = new URL('../src/', import.meta.url).pathname;
const AREA = 'messages:';

/** What the frame says is everywhere, and small words are; what is said together is loaded together. */
const TOGETHER: Record<string, string[]> = {
  frame: ['account', 'actor', 'alert', 'attention', 'error', 'help', 'ink', 'language', 'live', 'nav', 'needs', 'palette', 'pause', 'post', 'retry', 'sandbox', 'theme', 'toasts', 'unknown'],
  planner: ['bulk', 'clash', 'empty', 'filter', 'move', 'planner'],
  post: ['action', 'amend', 'delivery', 'journal', 'metric', 'numbers', 'outcome', 'panel', 'rollback', 'step'],
  connections: ['apps', 'budget', 'check', 'connection', 'consent', 'diagnosis', 'field', 'token'],
  queue: ['circuit', 'drain', 'lane', 'queue', 'sweep'],
  dead: ['dead', 'posted', 'replay'],
  media: ['media', 'upload'],
  transfer: ['calendarLink', 'feed', 'transfer'],
  // Part of an area that comes later than the rest of it.
  following: ['composer.thread', 'composer.comment'],
};

export function areaOf(key: string): string {
  const [name = '', ...more] = key.split('.');
  if (!more.length) return 'frame';
  const holds = (what: string) => Object.keys(TOGETHER).find((area) => TOGETHER[area]?.includes(what));
  return (more.length > 1 && holds(`${name}.${more[0]}`)) || (holds(name) ?? name);
}

/** The areas of the messages that a source text names, plurals by their base, families by `word('…'` (`ink` is `ink.…`). */
export function areasIn(code: string, keys: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const [, text = ''] of code.matchAll(/'([\w.]+)'/g)) {
    if (keys.has(text)) found.add(areaOf(text));
    else if (keys.has(`${text}.one`)) found.add(areaOf(`${text}.one`));
  }
  for (const [, prefix = ''] of code.matchAll(/\bword\('([\w.]+)'/g)) found.add(areaOf(`${prefix}.`));
  return [...found].sort();
}

export function messages(): Plugin {
  const read = () => JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, string>;
  let en = read();
  let keys = new Set(Object.keys(en));
  return {
    name: 'carillon-messages',
    enforce: 'pre',
    buildStart() {
      this.addWatchFile(FILE);
      en = read();
      keys = new Set(Object.keys(en));
    },
    resolveId: (id) => (id.startsWith(AREA) ? `\0${id}` : null),
    load(id) {
      if (!id.startsWith(`\0${AREA}`)) return null;
      const area = id.slice(AREA.length + 1);
      const words = Object.entries(en).filter(([key]) => areaOf(key) === area);
      return `import { learn } from '/src/app/i18n.ts';\nlearn(${JSON.stringify(Object.fromEntries(words))});`;
    },
    transform(code, id) {
      const file = id.split('?', 1)[0] ?? '';
      if (id !== file || !file.startsWith(SRC) || !/\.(svelte|ts)$/.test(file)) return null;
      const imports = areasIn(code, keys).map((area) => `import '${AREA}${area}';`).join(' ');
      if (!imports) return null;
      // On the line that is there, so that lines keep their numbers.
      const at = file.endsWith('.svelte') ? code.indexOf('<script lang="ts">') : 0;
      if (at < 0) return null;
      const from = file.endsWith('.svelte') ? at + '<script lang="ts">'.length : 0;
      return { code: `${code.slice(0, from)} ${imports} ${code.slice(from)}`, map: null };
    },
  };
}
