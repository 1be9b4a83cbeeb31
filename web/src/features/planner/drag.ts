// Dragging a chip with mouse or pen: a copy follows the pointer, the place under it is marked, a rest
// over "previous" or "next" turns the page. Escape puts everything back. Touch scrolls instead; its
// way is "Move to…" in the post's panel.

import type { Attachment } from 'svelte/attachments';
import { STEP } from './move';

/** A day, and where its rows are times the minutes after midnight by the clock. */
export interface Target {
  day: string;
  minutes: number | null;
}

export interface DragHandlers {
  /** A reason not to move; null lets the drag begin. */
  refuse: (postId: string) => string | null;
  onRefused: (reason: string) => void;
  onOver: (target: Target | null, postId: string | null) => void;
  onTurn: (link: HTMLAnchorElement) => void;
  onDrop: (postId: string, target: Target) => void;
}

const THRESHOLD = 5;
const REST = 500;
/** So near to the edge of a sheet that scrolls, it does. */
const EDGE = 36;

export function dragging(handlers: DragHandlers): Attachment<HTMLElement> {
  return (grid) => {
    const onDown = (event: PointerEvent) => {
      if (event.button !== 0 || event.pointerType === 'touch' || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const chip = (event.target as Element).closest<HTMLElement>('[data-post]');
      if (chip?.dataset.post) track(grid, chip, chip.dataset.post, event, handlers);
    };
    const onNativeDrag = (event: Event) => event.preventDefault();
    grid.addEventListener('pointerdown', onDown);
    grid.addEventListener('dragstart', onNativeDrag);
    return () => {
      grid.removeEventListener('pointerdown', onDown);
      grid.removeEventListener('dragstart', onNativeDrag);
    };
  };
}

/** From the press to the release. */
function track(grid: HTMLElement, chip: HTMLElement, id: string, down: PointerEvent, handlers: DragHandlers): void {
  let ghost: HTMLElement | null = null;
  let target: Target | null = null;
  let turning: { link: Element; timer: ReturnType<typeof setTimeout> } | null = null;
  const box = chip.getBoundingClientRect();
  const grip = down.clientY - box.top;

  const onMove = (event: PointerEvent) => {
    if (event.pointerId !== down.pointerId) return;
    if (!ghost) {
      if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < THRESHOLD) return;
      const reason = handlers.refuse(id);
      if (reason) {
        end();
        swallowClick();
        handlers.onRefused(reason);
        return;
      }
      ghost = copyOf(chip, box);
    }
    const x = event.clientX - down.clientX;
    const y = event.clientY - down.clientY;
    ghost.style.transform = `translate(${x}px, ${y}px) rotate(-1deg)`;
    const under = document.elementFromPoint(event.clientX, event.clientY);
    scroll(under?.closest<HTMLElement>('[data-scrolls]'), event.clientY);
    const over = targetAt(under?.closest<HTMLElement>('[data-day]'), event.clientY - grip);
    if (over?.day !== target?.day || over?.minutes !== target?.minutes) {
      target = over;
      handlers.onOver(target, id);
    }
    turn(under?.closest<HTMLAnchorElement>('a[data-turn]') ?? null);
  };
  const onUp = (event: PointerEvent) => {
    if (event.pointerId !== down.pointerId) return;
    const dropped = ghost ? target : null;
    if (ghost) swallowClick();
    end();
    if (dropped) handlers.onDrop(id, dropped);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !ghost) return;
    event.preventDefault();
    event.stopPropagation();
    swallowClick();
    end();
  };

  function turn(link: HTMLAnchorElement | null): void {
    if (turning?.link === link) return;
    if (turning) clearTimeout(turning.timer);
    turning = link ? { link, timer: setTimeout(() => again(link), REST) } : null;
  }
  function again(link: HTMLAnchorElement): void {
    turning = null;
    handlers.onTurn(link);
  }
  function end(): void {
    removeEventListener('pointermove', onMove);
    removeEventListener('pointerup', onUp);
    removeEventListener('pointercancel', end);
    removeEventListener('keydown', onKey, true);
    turn(null);
    ghost?.remove();
    grid.removeAttribute('data-dragging');
    handlers.onOver(null, null);
  }

  addEventListener('pointermove', onMove);
  addEventListener('pointerup', onUp);
  addEventListener('pointercancel', end);
  addEventListener('keydown', onKey, true);
}

function targetAt(day: HTMLElement | null | undefined, y: number): Target | null {
  if (!day?.dataset.day) return null;
  return { day: day.dataset.day, minutes: 'times' in day.dataset ? minutesAt(day, y) : null };
}

/** The quarter of an hour at this height of a day whose rows are times. */
export function minutesAt(day: HTMLElement, y: number): number {
  const { top, height } = day.getBoundingClientRect();
  const minutes = Math.round((((y - top) / height) * 1440) / STEP) * STEP;
  return Math.max(0, Math.min(1440 - STEP, minutes));
}

function scroll(sheet: HTMLElement | null | undefined, y: number): void {
  if (!sheet) return;
  const { top, bottom } = sheet.getBoundingClientRect();
  if (y < top + EDGE) sheet.scrollTop -= EDGE / 2;
  else if (y > bottom - EDGE) sheet.scrollTop += EDGE / 2;
}

function copyOf(chip: HTMLElement, box: DOMRect): HTMLElement {
  const ghost = chip.cloneNode(true) as HTMLElement;
  ghost.classList.add('flying');
  ghost.removeAttribute('href');
  ghost.removeAttribute('data-post');
  ghost.setAttribute('aria-hidden', 'true');
  ghost.style.left = `${box.left}px`;
  ghost.style.top = `${box.top}px`;
  ghost.style.width = `${box.width}px`;
  document.body.append(ghost);
  return ghost;
}

/** The release of a drag is no click on what lies under it. */
function swallowClick(): void {
  const swallow = (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener('click', swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener('click', swallow, { capture: true }), 50);
}
