// Which posts are selected: one by one (Ctrl or Cmd and click, Space), or all between two (Shift).

class Chosen {
  ids = $state.raw<ReadonlySet<string>>(new Set());
  /** Where a range begins. */
  private anchor: string | null = null;

  has(id: string): boolean {
    return this.ids.has(id);
  }
  toggle(id: string): void {
    const next = new Set(this.ids);
    if (!next.delete(id)) next.add(id);
    this.anchor = id;
    this.ids = next;
  }
  /** All from the one that was selected last to this one, in this order, beside what is selected. */
  range(id: string, order: readonly string[]): void {
    const to = order.indexOf(id);
    const from = this.anchor === null ? to : order.indexOf(this.anchor);
    if (to < 0 || from < 0) return this.toggle(id);
    this.ids = new Set([...this.ids, ...order.slice(Math.min(from, to), Math.max(from, to) + 1)]);
  }
  /** These beside what is selected. */
  add(ids: readonly string[]): void {
    if (ids.length) this.ids = new Set([...this.ids, ...ids]);
  }
  /** Only those that are still there. */
  keep(known: (id: string) => boolean): void {
    const left = [...this.ids].filter(known);
    if (left.length !== this.ids.size) this.ids = new Set(left);
  }
  clear(): void {
    this.anchor = null;
    if (this.ids.size) this.ids = new Set();
  }
}

export const chosen = new Chosen();
