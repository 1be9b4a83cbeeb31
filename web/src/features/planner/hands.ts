// What keys and clicks on chips mean in every view: pick up (M), select (Space, Shift, Ctrl). The
// views listen once for all of their chips.

import { chosen } from './chosen.svelte';

export interface Hands {
  /** Posts in the order in which they are shown. */
  order: () => readonly string[];
  onpick: (postId: string) => void;
}

/** True when the click was on a chip: either taken, or the link's own. */
export function onChipClick(event: MouseEvent, { order }: Hands): boolean {
  const link = (event.target as Element).closest<HTMLElement>('a');
  const id = link?.dataset.post;
  if (id && (event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    if (event.shiftKey) chosen.range(id, order());
    else chosen.toggle(id);
  }
  return link !== null;
}

/** True when the key was for a chip. */
export function onChipKey(event: KeyboardEvent, { order, onpick }: Hands): boolean {
  const chip = event.target as HTMLElement;
  const id = chip.dataset.post;
  if (!id || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === ' ') chosen.toggle(id);
  else if (event.key.toLowerCase() === 'm' && !event.shiftKey) onpick(id);
  else if (event.shiftKey && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) extend(chip, id, event.key === 'ArrowDown' ? 1 : -1, order());
  else return false;
  event.preventDefault();
  // This same key press must not mean something else further up: put down what it picked up.
  event.stopPropagation();
  return true;
}

/** Selects this one and its neighbour, and goes there. */
function extend(chip: HTMLElement, id: string, by: number, order: readonly string[]): void {
  const all = [...document.querySelectorAll<HTMLElement>('main [data-post]')];
  const next = all[all.indexOf(chip) + by];
  chosen.add([id]);
  if (!next?.dataset.post) return;
  chosen.range(next.dataset.post, order);
  next.focus();
}
