// A rule in words, as the server's tests have it (domain/recurrence/tests.rs), and in German.

import { afterEach, describe, expect, test, vi } from 'vitest';

const said = async (language: string) => {
  vi.resetModules();
  vi.stubGlobal('navigator', { ...navigator, language, languages: [language] });
  const i18n = await import('../../src/app/i18n');
  i18n.learn((await import('../../src/messages/en.json')).default);
  await i18n.speak();
  const { repeats } = await import('../../src/time/repeats');
  return (rule: string, timezone = 'Europe/London') => repeats({ rule: `FREQ=${rule}`, start: '2026-11-24T07:00:00', timezone });
};
afterEach(() => vi.unstubAllGlobals());

describe.each([
  ['DAILY', 'Every day', 'Jeden Tag'],
  ['DAILY;INTERVAL=3', 'Every third day', 'Jeden dritten Tag'],
  ['WEEKLY', 'Every Tuesday', 'Jeden Dienstag'],
  ['WEEKLY;INTERVAL=2', 'Every second Tuesday', 'Jeden zweiten Dienstag'],
  ['WEEKLY;BYDAY=MO,WE,FR', 'Every Monday, Wednesday and Friday', 'Jeden Montag, Mittwoch und Freitag'],
  ['WEEKLY;BYDAY=MO,TU,WE,TH,FR', 'Every weekday', 'Jeden Werktag'],
  ['WEEKLY;INTERVAL=2;BYDAY=TU,TH', 'Every second week on Tuesday and Thursday', 'Jede zweite Woche am Dienstag und Donnerstag'],
  ['MONTHLY', 'Every month on the 24th', 'Jeden Monat am 24.'],
  ['MONTHLY;BYMONTHDAY=1,15', 'Every month on the 1st and the 15th', 'Jeden Monat am 1. und 15.'],
  ['MONTHLY;BYMONTHDAY=-1', 'Every month on the last day', 'Jeden Monat am letzten Tag'],
  ['MONTHLY;INTERVAL=3;BYDAY=1MO', 'Every third month on the first Monday', 'Jeden dritten Monat am ersten Montag'],
  ['MONTHLY;BYDAY=-1FR', 'Every month on the last Friday', 'Jeden Monat am letzten Freitag'],
  ['MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1', 'Every month on the last weekday', 'Jeden Monat am letzten Werktag'],
  ['YEARLY', 'Every year on 24 November', 'Jedes Jahr am 24. November'],
  ['YEARLY;INTERVAL=4;BYMONTH=12;BYMONTHDAY=24', 'Every 4th year on 24 December', 'Jedes 4. Jahr am 24. Dezember'],
  ['YEARLY;BYDAY=20MO', 'By the rule FREQ=YEARLY;BYDAY=20MO', 'Nach der Regel FREQ=YEARLY;BYDAY=20MO'],
])('%s', (rule, english, german) => {
  test('in English', async () => expect((await said('en-GB'))(rule)).toBe(`${english} at 07:00 (Europe/London)`));
  test('in German', async () => expect((await said('de'))(rule)).toBe(`${german} um 07:00 (Europe/London)`));
});

test('how it ends', async () => {
  const [en, de] = [await said('en-GB'), await said('de')];
  expect(en('WEEKLY;INTERVAL=2;COUNT=12', 'UTC')).toBe('Every second Tuesday at 07:00 (UTC), 12 times');
  expect(en('DAILY;UNTIL=20261224', 'UTC')).toBe('Every day at 07:00 (UTC), until 24 December 2026');
  expect(en('DAILY;COUNT=1', 'UTC')).toBe('Every day at 07:00 (UTC), once');
  expect(de('DAILY;UNTIL=20261224T070000', 'UTC')).toBe('Jeden Tag um 07:00 (UTC), bis 24. Dezember 2026');
});
