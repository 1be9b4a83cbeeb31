// What of the library is shown, as it stands in the address and as the API takes it. Pure.

export const KINDS = ['picture', 'video'] as const;
export const FLAGS = ['missingAlt', 'unused', 'failed', 'trash'] as const;
export type Flag = (typeof FLAGS)[number];

export interface Filter {
  search: string;
  tag: string | null;
  kind: (typeof KINDS)[number] | null;
  flags: readonly Flag[];
}

export const EVERYTHING: Filter = { search: '', tag: null, kind: null, flags: [] };

export function filterOf(query: URLSearchParams): Filter {
  return {
    search: query.get('search') ?? '',
    tag: query.get('tag') || null,
    kind: KINDS.find((k) => k === query.get('kind')) ?? null,
    flags: FLAGS.filter((flag) => query.get(flag) === 'true'),
  };
}

/** For the address and for the API alike. */
export function askOf(filter: Filter): Record<string, string> {
  const asked: Record<string, string> = {};
  if (filter.search.trim()) asked.search = filter.search;
  if (filter.tag) asked.tag = filter.tag;
  if (filter.kind) asked.kind = filter.kind;
  for (const flag of filter.flags) asked[flag] = 'true';
  return asked;
}

export function hrefOf(filter: Filter): string {
  const text = new URLSearchParams(askOf(filter)).toString();
  return text ? `/media?${text}` : '/media';
}

export const isNarrowed = (filter: Filter): boolean => Object.keys(askOf(filter)).length > 0;

/** With this flag, or without it where it was there. The trash is a place of its own. */
export function toggled(filter: Filter, flag: Flag): Filter {
  const has = filter.flags.includes(flag);
  if (flag === 'trash') return has ? EVERYTHING : { ...EVERYTHING, flags: ['trash'] };
  return { ...filter, flags: has ? filter.flags.filter((f) => f !== flag) : [...filter.flags, flag] };
}
