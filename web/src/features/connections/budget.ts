// What is left of a connection's posting budgets, in words.

import type { BudgetLeft, Connection, Placement } from '../../api/types';
import { locale, number, t } from '../../app/i18n';
import { nearTime } from '../../time/format';
import { browserZone } from '../../time/zone';

const DAY = 86_400;
/** Nobody runs out of a shorter budget: what it holds back goes out moments later. */
const SHORTEST = 60;

/** A line for each budget that a person can run out of; it names what it counts, where that is not all. */
export function budgetLines(connection: Connection, placements: Placement[], now: number, zone = browserZone()): string[] {
  const counted = connection.budgets.filter((b) => b.seconds >= SHORTEST);
  return counted.map((b) => {
    const line = inWords(b, now, zone);
    const names = placements.filter((p) => b.placements.includes(p.id)).map((p) => p.name);
    const named = names.length < placements.length ? t('budget.of', { what: names.join(', '), line }) : line;
    return b.shared ? t('budget.shared', { line: named }) : named;
  });
}

/** `5 minutes`, `1 day` */
function span(seconds: number): string {
  const [unit, size] = SPANS.find(([, size]) => seconds % size === 0) ?? ['second', 1];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(seconds / size);
}
const SPANS: [string, number][] = [
  ['day', DAY],
  ['hour', 3600],
  ['minute', 60],
];

function inWords(b: BudgetLeft, now: number, zone: string): string {
  const when = b.moreAt ? nearTime(Date.parse(b.moreAt), now, zone) : '';
  const words = { left: number(b.left), posts: number(b.posts), atOnce: number(b.atOnce), span: span(b.seconds), when };
  if (b.left === 0 && !b.moreAt) return t('budget.unreadable');
  if (b.left === 0) return t('budget.none', words);
  if (b.seconds < DAY) return t('budget.short', words);
  return b.moreAt ? t('budget.day', words) : t('budget.all', words);
}
