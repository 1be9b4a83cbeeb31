// Chips are drawn as many as a frame has time for, and more in each frame after it: a click or key is
// answered at once, however many there are.

import type { Day } from '../../time/calendar';

const AT_ONCE = 8;
const EACH = 16;

export interface Filling<T> {
  /** What is drawn of a day so far. */
  of: (day: Day) => readonly T[];
  /** Is all of it drawn? */
  has: (day: Day) => boolean;
  /** Draws what is left at once: for who has to reach one of them. */
  finish: () => void;
}

/** `sheet` names what is shown, and begins anew when that is another; `lists` is in the order of drawing. */
export function filling<T>(sheet: () => string, lists: () => ReadonlyMap<Day, readonly T[]>): Filling<T> {
  let drawn = $state.raw({ sheet: '', room: 0 });
  const name = $derived(sheet());
  const room = $derived(drawn.sheet === name ? drawn.room : AT_ONCE);
  const parts = $derived.by(() => {
    let left = room;
    const found = new Map<Day, readonly T[]>();
    for (const [day, list] of lists()) {
      found.set(day, list.length <= left ? list : list.slice(0, left));
      left = Math.max(0, left - list.length);
    }
    return found;
  });
  const whole = (day: Day) => parts.get(day)?.length === lists().get(day)?.length;
  const left = $derived([...parts.keys()].some((day) => !whole(day)));
  $effect(() => {
    // Another sheet: who comes back to this one finds it anew.
    if (drawn.sheet !== name) drawn = { sheet: name, room: AT_ONCE };
    if (!left) return;
    const next = { sheet: name, room: room + EACH };
    // After this frame is on the screen, not with it: the frame after it begins once it is.
    let frame = requestAnimationFrame(() => (frame = requestAnimationFrame(() => (drawn = next))));
    return () => cancelAnimationFrame(frame);
  });
  return { of: (day) => parts.get(day) ?? [], has: whole, finish: () => (drawn = { sheet: name, room: Infinity }) };
}
