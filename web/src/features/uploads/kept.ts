// Uploads that were begun in this browser, so that a file goes on where it was after a reload. A page
// is not given a file again by itself: the person chooses it, and it is known by name, size and time.

export interface Kept {
  url: string;
  name: string;
  size: number;
  /** When the file was last changed. */
  changed: number;
  /** When its upload began. */
  at: number;
}

const KEY = 'carillon:uploads';
/** For so long the server keeps them at least, unless it is told otherwise. */
const DAY = 86_400_000;

export const kept = {
  all(): Kept[] {
    return read().filter((k) => k.at > Date.now() - DAY);
  },
  find(file: File): Kept | undefined {
    return this.all().find((k) => k.name === file.name && k.size === file.size && k.changed === file.lastModified);
  },
  add(file: File, url: string): void {
    const { name, size, lastModified: changed } = file;
    write([...this.all().filter((k) => k.url !== url), { url, name, size, changed, at: Date.now() }]);
  },
  drop(url: string): void {
    write(this.all().filter((k) => k.url !== url));
  },
};

function read(): Kept[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(found) ? (found as Kept[]) : [];
  } catch {
    // Shut off, or not ours: then nothing is remembered, and an upload begins anew.
    return [];
  }
}
function write(all: Kept[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // Full or shut off, as above.
  }
}
