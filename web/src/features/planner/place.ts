// Where in the planner somebody is, as it stands in the address: which view, which day it is about,
// and what is filtered out. `/planner/week/2026-11-23?network=bluesky`. Pure.

import type { Brief } from '../../api/types';
import { isDay, isMonth, type Day } from '../../time/calendar';
import { INKS, postInk, titleOf, type Ink } from './states';

export const VIEWS = ['month', 'week', 'agenda'] as const;
export type View = (typeof VIEWS)[number];

/** Within a part any of its values, of the parts all. */
export interface Filter {
  networks: readonly string[];
  connections: readonly string[];
  states: readonly Ink[];
  text: string;
}
export const EVERYTHING: Filter = { networks: [], connections: [], states: [], text: '' };

export interface Place {
  /** null: the one that was looked at last. */
  view: View | null;
  /** null: today. */
  day: Day | null;
  filter: Filter;
}

/** null for an address that is not the planner's. */
export function placeOf(url: URL): Place | null {
  const [, page, view, date, ...more] = url.pathname.replace(/\/+$/, '').split('/');
  if ((page && page !== 'planner') || more.length) return null;
  const known = VIEWS.find((v) => v === view) ?? null;
  if (view && !known) return null;
  // `?month=2026-11` is how months were named before there were weeks.
  const day = dayOf(date ?? url.searchParams.get('month'));
  if (date && !day) return null;
  return { view: known, day, filter: filterOf(url.searchParams) };
}

export function hrefOf({ view, day, filter }: Place): string {
  const date = day && view !== 'week' ? day.slice(0, 7) : day;
  const path = ['/planner', ...(view ? [view, ...(date ? [date] : [])] : [])].join('/');
  const query = queryOf(filter);
  return query ? `${path}?${query}` : path;
}

function dayOf(text: string | null): Day | null {
  if (isMonth(text)) return `${text}-01`;
  return isDay(text) ? text : null;
}

function filterOf(query: URLSearchParams): Filter {
  const list = (name: string) => [...new Set((query.get(name) ?? '').split(',').filter(Boolean))];
  return {
    networks: list('network'),
    connections: list('connection'),
    states: list('state').filter((s): s is Ink => INKS.some((ink) => ink === s)),
    text: query.get('text') ?? '',
  };
}

function queryOf({ networks, connections, states, text }: Filter): string {
  const query = new URLSearchParams();
  if (networks.length) query.set('network', networks.join(','));
  if (connections.length) query.set('connection', connections.join(','));
  if (states.length) query.set('state', states.join(','));
  if (text.trim()) query.set('text', text);
  // Commas are no harm in an address, and it stays one that people can read.
  return query.toString().replaceAll('%2C', ',');
}

export const isNarrowed = (filter: Filter): boolean => queryOf(filter) !== '';

/** With this value of a part, or without it where it was there. */
export function toggled<K extends 'networks' | 'connections' | 'states'>(filter: Filter, part: K, value: Filter[K][number]): Filter {
  const values = filter[part] as readonly string[];
  return { ...filter, [part]: values.includes(value) ? values.filter((v) => v !== value) : [...values, value] };
}

/** Does the filter let this post through? `found`: those whose text the server found it in. */
export function matches(post: Brief, filter: Filter, found: ReadonlySet<string> | null): boolean {
  const { networks, connections, states, text } = filter;
  const some = (wanted: readonly string[], has: (d: Brief['deliveries'][number]) => string) =>
    !wanted.length || post.deliveries.some((d) => wanted.includes(has(d)));
  return (
    (!states.length || states.includes(postInk(post.state))) &&
    some(networks, (d) => d.network) &&
    some(connections, (d) => d.connectionId) &&
    (!text.trim() || found?.has(post.id) === true || says(post, text))
  );
}

const says = (post: Brief, text: string) =>
  `${titleOf(post)}\n${post.text}`.toLowerCase().includes(text.trim().toLowerCase());
