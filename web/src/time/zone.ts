// Wall time in an IANA zone ↔ instant (ms UTC), with Intl only.
// A wall time that a clock change skips means the same distance after the gap; one that occurs
// twice means the first. The server follows the same rule.

export interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What clocks in the zone show at this instant. */
export function toWall(ms: number, zone: string): Wall {
  const found: Record<string, number> = {};
  for (const { type, value } of format(zone).formatToParts(ms)) found[type] = Number(value);
  return {
    year: found.year ?? 0,
    month: found.month ?? 0,
    day: found.day ?? 0,
    hour: found.hour ?? 0,
    minute: found.minute ?? 0,
  };
}

export function toInstant(wall: Wall, zone: string): number {
  const utc = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute);
  const before = offset(utc - 86_400_000, zone);
  const after = offset(utc + 86_400_000, zone);
  // The first of two, or the only one: try the offset from before a change first.
  for (const o of [before, after]) {
    if (offset(utc - o, zone) === o) return utc - o;
  }
  return utc - before;
}

/** `2026-11-23T09:00`, as inputs and the API take wall times. */
export function wallText(ms: number, zone: string): string {
  const w = toWall(ms, zone);
  return `${dayKey(w)}T${two(w.hour)}:${two(w.minute)}`;
}

/** `2026-11-23` */
export function dayOf(ms: number, zone: string): string {
  return dayKey(toWall(ms, zone));
}

/** The instant of `2026-11-23` and `09:00` in the zone. */
export function at(day: string, time: string, zone: string): number {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  const [hour = 0, minute = 0] = time.split(':').map(Number);
  return toInstant({ year, month, day: date, hour, minute }, zone);
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

export function isZone(zone: string): boolean {
  try {
    format(zone);
    return true;
  } catch {
    return false;
  }
}

/** How far the zone's clocks are ahead of UTC, in ms. */
function offset(ms: number, zone: string): number {
  const w = toWall(ms, zone);
  return Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute) - Math.floor(ms / 60_000) * 60_000;
}

function format(zone: string): Intl.DateTimeFormat {
  let made = formats.get(zone);
  if (!made) {
    made = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
    formats.set(zone, made);
  }
  return made;
}

function dayKey(w: Wall): string {
  return `${w.year}-${two(w.month)}-${two(w.day)}`;
}
function two(n: number): string {
  return String(n).padStart(2, '0');
}
