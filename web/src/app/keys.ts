// Keys of commands, everywhere outside of fields and dialogs.

import { commands } from './commands.svelte';

/** What the command key is called here. */
export const commandKey = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

/** `undo` says whether there was something to take back: if not, the key is the browser's. */
export function listenForKeys(undo: () => boolean): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return;
    const key = event.key.toLowerCase();
    const mod = event.ctrlKey || event.metaKey;
    if (event.altKey || (mod && event.shiftKey)) return;
    // With Ctrl or Cmd they are no text: the palette opens from a field too.
    if (inField(event.target) && !(mod && key === 'k')) return;
    if (mod && key === 'z') {
      if (undo()) event.preventDefault();
      return;
    }
    const command = commands.byKey(key, mod);
    if (!command) return;
    event.preventDefault();
    command.run();
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}

function inField(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}
