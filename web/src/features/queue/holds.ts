// What holds a lane back, and when it goes on. Pure: a lane in, reasons out, the one that lasts first.

import type { Lane } from '../../api/desk';
import type { Connection } from '../../api/types';

export type Hold =
  | { kind: 'action' }
  | { kind: 'paused' }
  | { kind: 'shut'; scope: string }
  | { kind: 'circuit'; until: number }
  | { kind: 'wait'; until: number };

/** Each connection has a second lane, for large uploads. */
export const isUpload = (lane: Lane): boolean => lane.lane.endsWith('/upload');

/** `state` is its connection's own; a pause that covers the lane is told by `shutBy`. */
export function holdsOf(lane: Lane, state: Connection['state'] | undefined, now: number): Hold[] {
  const holds: Hold[] = [];
  if (state === 'needs_action') holds.push({ kind: 'action' });
  else if (state === 'paused') holds.push({ kind: 'paused' });
  if (lane.shutBy) holds.push({ kind: 'shut', scope: lane.shutBy });
  const circuit = later(lane.circuitUntil, now);
  if (circuit !== null) holds.push({ kind: 'circuit', until: circuit });
  const open = later(lane.openAt, now);
  if (open !== null) holds.push({ kind: 'wait', until: open });
  return holds;
}

/** When its next one goes out; null while nothing is planned or nobody knows. */
export function nextOf(lane: Lane, holds: Hold[]): number | null {
  if (holds.some((h) => !('until' in h)) || !lane.nextAt) return null;
  return Math.max(Date.parse(lane.nextAt), ...holds.map((h) => ('until' in h ? h.until : 0)));
}

/** `1:05`, `0:09`; nothing once it is over. */
export function countdown(until: number, now: number): string | null {
  const seconds = Math.ceil((until - now) / 1000);
  if (seconds <= 0) return null;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function later(iso: string | null, now: number): number | null {
  const at = iso ? Date.parse(iso) : 0;
  return at > now ? at : null;
}
