// Keys that work everywhere outside of fields and dialogs. Listed for people in HelpDialog.

/** What the command key is called here. */
export const commandKey = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

export interface Shortcuts {
  newPost: () => void;
  today: () => void;
  help: () => void;
  /** Returns whether there was something to take back. */
  undo: () => boolean;
}

export function listenForKeys(shortcuts: Shortcuts): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || inField(event.target) || document.querySelector('dialog[open]')) {
      return;
    }
    const command = event.ctrlKey || event.metaKey;
    if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === 'z') {
      if (shortcuts.undo()) event.preventDefault();
      return;
    }
    if (command || event.altKey) return;
    const run = { n: shortcuts.newPost, t: shortcuts.today, '?': shortcuts.help }[event.key.toLowerCase()];
    if (!run) return;
    event.preventDefault();
    run();
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}

function inField(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}
