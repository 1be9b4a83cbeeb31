// The filters of the list as they stand in the address, and as the API takes them. Pure.

export const STATES = ['failed', 'held', 'missed'] as const;
export type State = (typeof STATES)[number];

export interface Filter {
  cause: string | null;
  state: State | null;
  network: string | null;
  /** Days, both counted in: `2026-11-23`. */
  from: string | null;
  to: string | null;
}

const DAY = /^\d{4}-\d\d-\d\d$/;

export function filterOf(query: URLSearchParams): Filter {
  const state = query.get('state') as State | null;
  const day = (key: string) => {
    const value = query.get(key);
    return value && DAY.test(value) ? value : null;
  };
  return {
    cause: query.get('cause') || null,
    state: state && STATES.includes(state) ? state : null,
    network: query.get('network') || null,
    from: day('from'),
    to: day('to'),
  };
}

/** The address of the list with these filters; `open` is the post whose panel stands over it. */
export function hrefOf(filter: Filter, open: { post: string; delivery: string } | null = null): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...filter, ...open })) if (value) query.set(key, value);
  const text = query.toString();
  return text ? `/dead-letters?${text}` : '/dead-letters';
}

export const isNarrowed = (filter: Filter): boolean => Object.values(filter).some(Boolean);

/** For the API; `startOf` gives the instant at which a day begins where the reader lives. */
export function askOf(filter: Filter, startOf: (day: string, plus: number) => number) {
  const asked: Record<string, string> = {};
  if (filter.cause) asked.cause = filter.cause;
  if (filter.state) asked.state = filter.state;
  if (filter.network) asked.network = filter.network;
  if (filter.from) asked.from = new Date(startOf(filter.from, 0)).toISOString();
  if (filter.to) asked.to = new Date(startOf(filter.to, 1)).toISOString();
  return asked;
}
