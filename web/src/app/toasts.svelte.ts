// Short messages at the foot of the page. One that offers "Undo" stays 10 s and answers Ctrl/Cmd+Z.

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  actions: Action[];
}
interface Action {
  label: string;
  run: () => void;
  /** It takes the latest step back: Ctrl/Cmd+Z does it too. */
  undo?: boolean;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;
  private timers = new Map<number, ReturnType<typeof setTimeout>>();

  show(text: string, options: Partial<Pick<Toast, 'tone' | 'actions'>> = {}): void {
    const toast: Toast = { id: this.next++, text, tone: options.tone ?? 'plain', actions: options.actions ?? [] };
    this.list = [...this.list.slice(-2), toast];
    this.resume(toast);
  }
  error(text: string): void {
    this.show(text, { tone: 'error' });
  }
  close(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.list = this.list.filter((t) => t.id !== id);
  }
  run(toast: Toast, action: Action): void {
    this.close(toast.id);
    action.run();
  }
  /** While somebody points at it or has the focus in it, a toast stays. */
  pause(toast: Toast): void {
    clearTimeout(this.timers.get(toast.id));
  }
  resume(toast: Toast): void {
    const ms = toast.actions.length || toast.tone === 'error' ? 10_000 : 5_000;
    this.pause(toast);
    this.timers.set(
      toast.id,
      setTimeout(() => this.close(toast.id), ms),
    );
  }
  /** Takes back the latest step that can be; false when there is none. */
  undo(): boolean {
    for (const toast of this.list.toReversed()) {
      const action = toast.actions.find((a) => a.undo);
      if (!action) continue;
      this.run(toast, action);
      return true;
    }
    return false;
  }
}

export const toasts = new Toasts();
