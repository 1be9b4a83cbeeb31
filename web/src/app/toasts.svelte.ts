// Short messages at the foot of the page. One that offers "Undo" stays 10 s and answers Ctrl/Cmd+Z.

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  action: { label: string; run: () => void; undo: boolean } | null;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;
  private timers = new Map<number, ReturnType<typeof setTimeout>>();

  show(text: string, options: Partial<Pick<Toast, 'tone' | 'action'>> = {}): void {
    const toast: Toast = { id: this.next++, text, tone: options.tone ?? 'plain', action: options.action ?? null };
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
  run(toast: Toast): void {
    this.close(toast.id);
    toast.action?.run();
  }
  /** While somebody points at it or has the focus in it, a toast stays. */
  pause(toast: Toast): void {
    clearTimeout(this.timers.get(toast.id));
  }
  resume(toast: Toast): void {
    const ms = toast.action || toast.tone === 'error' ? 10_000 : 5_000;
    this.pause(toast);
    this.timers.set(
      toast.id,
      setTimeout(() => this.close(toast.id), ms),
    );
  }
  /** Takes back the latest step that can be; false when there is none. */
  undo(): boolean {
    const toast = this.list.findLast((t) => t.action?.undo);
    if (!toast) return false;
    this.run(toast);
    return true;
  }
}

export const toasts = new Toasts();
