import { describe, expect, test } from 'vitest';
import type { DeadLetter } from '../../src/api/desk';
import { askOf, filterOf, hrefOf, isNarrowed } from '../../src/features/dead-letters/filter';
import { nextStep } from '../../src/features/dead-letters/next';
import { at } from '../../src/time/zone';
import { addDays } from '../../src/time/calendar';

describe('filters', () => {
  test('they go through the address and back', () => {
    const filter = { cause: 'rate_limit', state: 'failed' as const, network: 'mastodon', from: '2026-11-01', to: '2026-11-22' };
    const href = hrefOf(filter, { post: 'p', delivery: 'd' });
    const query = new URL(href, 'http://x').searchParams;
    expect(filterOf(query)).toEqual(filter);
    expect([query.get('post'), query.get('delivery')]).toEqual(['p', 'd']);
    expect(hrefOf(filterOf(new URLSearchParams()))).toBe('/dead-letters');
  });
  test('what is no filter is none', () => {
    const filter = filterOf(new URLSearchParams('state=published&from=yesterday&cause='));
    expect(isNarrowed(filter)).toBe(false);
    expect(isNarrowed(filterOf(new URLSearchParams('post=p')))).toBe(false);
  });
  test('both days count, as the reader’s clock has them', () => {
    const start = (day: string, plus: number) => at(addDays(day, plus), '00:00', 'Asia/Kathmandu');
    expect(askOf(filterOf(new URLSearchParams('from=2026-11-22&to=2026-11-22&cause=auth')), start)).toEqual({
      cause: 'auth', from: '2026-11-21T18:15:00.000Z', to: '2026-11-22T18:15:00.000Z',
    });
  });
});

describe('the next step', () => {
  const letter = (action: string | null, more: Partial<DeadLetter> = {}) =>
    ({ question: null, replay: { safe: true, why: null }, problem: action && { action }, ...more }) as unknown as DeadLetter;
  test('a doubt is answered before anything else', () => {
    expect(nextStep(letter('reconnect', { question: 'is_it_live', replay: { safe: false, why: 'doubt' } }))).toBe('answer');
  });
  test('what would be refused again is mended first', () => {
    expect(nextStep(letter('reconnect'))).toBe('reconnect');
    expect(nextStep(letter('edit_post'))).toBe('edit');
  });
  test('nothing that may be live is offered for replay', () => {
    expect(nextStep(letter('retry'))).toBe('replay');
    expect(nextStep(letter(null))).toBe('replay');
    expect(nextStep(letter('edit_post', { replay: { safe: false, why: 'disconnected' } }))).toBe('open');
  });
});
