// Whether the composer is open, and for what. The composer itself is loaded when first needed.

export type ComposerTask =
  | { kind: 'new'; day: string | null; time?: string }
  | { kind: 'edit'; postId: string }
  /** This one of a series and all behind it; `rule` is what they repeat by. */
  | { kind: 'following'; postId: string; rule: string };

class ComposerDoor {
  task = $state.raw<ComposerTask | null>(null);

  /** For a day, and a time of it (`09:15`). */
  openNew(day: string | null = null, time?: string): void {
    this.task = time ? { kind: 'new', day, time } : { kind: 'new', day };
  }
  openEdit(postId: string): void {
    this.task = { kind: 'edit', postId };
  }
  openFollowing(postId: string, rule: string): void {
    this.task = { kind: 'following', postId, rule };
  }
  close(): void {
    this.task = null;
  }
}

export const composer = new ComposerDoor();
export const loadComposer = () => import('../features/composer/Composer.svelte');
