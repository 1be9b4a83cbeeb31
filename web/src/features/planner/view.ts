// Which view an address without one means: that of its entry in the history, else the one that was
// chosen last in this browser.

import { VIEWS, type View } from './place';

const KEY = 'carillon.planner.view';
const known = (value: unknown): View | null => VIEWS.find((v) => v === value) ?? null;

export function keptView(): View | null {
  const entry = (history.state as { view?: string } | null)?.view;
  return known(entry) ?? known(localStorage.getItem(KEY));
}

/** Going back to an address shows what it showed; a view that was chosen is the next one's too. */
export function keepView(view: View, isChosen: boolean): void {
  history.replaceState({ ...(history.state as object | null), view }, '');
  if (isChosen) localStorage.setItem(KEY, view);
}
