// A campaign's form as fields, and as the body that the API takes.

import type { CampaignForm, CampaignKind } from '../../api/planning';
import type { Id } from '../../api/types';
import { addDays, type Day } from '../../time/calendar';

export const KINDS: CampaignKind[] = ['event', 'promotion', 'weekly', 'instant'];
export const WEEKDAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];

export interface Fields {
  kind: CampaignKind;
  name: string;
  objective: string;
  /** One a line. */
  goals: string;
  amount: string;
  currency: string;
  zone: string;
  time: string;
  event: string;
  from: Day;
  to: Day;
  weekdays: string[];
  /** Empty: without end. */
  weeks: string;
  text: string;
  texts: Record<string, string>;
  connections: Id[];
  media: Id[];
  without: string[];
  also: string[];
}

export function newFields(kind: CampaignKind, zone: string, today: Day, connections: Id[]): Fields {
  return {
    kind,
    name: '',
    objective: '',
    goals: '',
    amount: '',
    currency: 'EUR',
    zone,
    time: '07:00',
    event: '',
    from: addDays(today, 1),
    to: addDays(today, 14),
    weekdays: [],
    weeks: '4',
    text: '',
    texts: {},
    connections,
    media: [],
    without: [],
    also: [],
  };
}

export interface Sending {
  draft: boolean;
  allowed?: ('collision' | 'duplicate')[];
}

export function formOf(f: Fields, { draft, allowed = [] }: Sending): CampaignForm {
  const promoted = f.kind === 'promotion';
  const weekly = f.kind === 'weekly';
  return {
    kind: f.kind,
    name: f.name,
    objective: f.objective.trim(),
    goals: f.goals.split('\n').flatMap((line) => line.trim() || []),
    budget: f.amount.trim() ? { amount: f.amount.trim(), currency: f.currency.trim().toUpperCase() } : null,
    timezone: f.zone,
    dates: {
      time: f.time || null,
      event: f.kind === 'event' ? f.event || null : null,
      from: promoted || weekly ? f.from || null : null,
      to: promoted ? f.to || null : null,
      weekdays: weekly ? f.weekdays : [],
      weeks: weekly && f.weeks ? Number(f.weeks) : null,
      without: f.without,
      also: f.also,
    },
    post: {
      text: f.text,
      media: f.media,
      timezone: f.zone,
      deliveries: f.connections.map((connectionId) => ({ connectionId })),
      ...(draft ? { draft: true } : {}),
      ...(allowed.includes('collision') ? { allowCollision: true } : {}),
      ...(allowed.includes('duplicate') ? { allowDuplicate: true } : {}),
    },
    texts: Object.fromEntries(Object.entries(f.texts).filter(([, text]) => text.trim())),
  };
}

export function toggled<T>(list: T[], item: T): T[] {
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item];
}
