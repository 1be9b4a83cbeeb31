// The campaigns that stand above the weeks, from their first post to their last.

import type { CampaignBrief } from '../../api/planning';
import type { Day } from '../../time/calendar';
import { dayOf } from '../../time/zone';
import { inkOf } from '../campaigns/states';
import type { Ink } from './states';

export interface Bar {
  id: string;
  name: string;
  first: Day;
  last: Day;
  ink: Ink;
}

export function barsOf(campaigns: CampaignBrief[], zone: string): Bar[] {
  return campaigns.flatMap(({ id, name, state, first, last }) =>
    first && last && state !== 'cancelled'
      ? [{ id, name, first: dayOf(Date.parse(first), zone), last: dayOf(Date.parse(last), zone), ink: inkOf(state) }]
      : [],
  );
}

/** A bar as a week shows it: in which columns, and whether it begins and ends there. */
export function inWeek(bar: Bar, week: Day[]) {
  const [monday = '', sunday = ''] = [week[0], week.at(-1)];
  if (bar.first > sunday || bar.last < monday) return null;
  const from = Math.max(0, week.indexOf(bar.first));
  const to = bar.last > sunday ? week.length : week.indexOf(bar.last) + 1;
  return { ...bar, from: from + 1, to: to + 1, begins: bar.first >= monday, ends: bar.last <= sunday };
}
