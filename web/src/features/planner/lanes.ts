// How chips lie in a day whose rows are times: side by side where they overlap, and what has no
// room is counted by the hour. Pure.

import type { Brief } from '../../api/types';
import { dueAt } from './move';

/** A chip is as high as so many minutes. */
export const CHIP = 48;
/** More beside each other could not be read. */
export const LANES = 2;
export const DAY = 1440;

export interface Laid {
  post: Brief;
  /** Minutes after midnight by the clock. */
  minutes: number;
  lane: number;
  /** Of how many lanes. */
  of: number;
}
export interface Rest {
  hour: number;
  posts: Brief[];
}

/** The posts of one day, by time; `minutesOf` tells an instant's minutes after midnight. */
export function laid(posts: readonly Brief[], minutesOf: (ms: number) => number, lanes = LANES): { chips: Laid[]; rest: Rest[] } {
  const chips: Laid[] = [];
  const rest = new Map<number, Brief[]>();
  // Those that overlap through each other share a number of lanes.
  let group: Laid[] = [];
  let ends: number[] = [];
  const close = () => {
    for (const chip of group) chip.of = ends.length;
    group = [];
    ends = [];
  };
  for (const post of posts) {
    const minutes = minutesOf(dueAt(post));
    // What lies too low for the sheet lies above its end.
    const top = Math.min(minutes, DAY - CHIP);
    if (ends.length && Math.max(...ends) <= top) close();
    let lane = ends.findIndex((end) => end <= top);
    if (lane < 0) lane = ends.length;
    if (lane >= lanes) {
      const hour = Math.floor(minutes / 60);
      rest.set(hour, [...(rest.get(hour) ?? []), post]);
      continue;
    }
    ends[lane] = top + CHIP;
    const chip = { post, minutes: top, lane, of: 1 };
    group.push(chip);
    chips.push(chip);
  }
  close();
  return { chips, rest: [...rest].map(([hour, of]) => ({ hour, posts: of })).sort((a, b) => a.hour - b.hour) };
}
