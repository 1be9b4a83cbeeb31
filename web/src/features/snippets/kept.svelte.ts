// The workspace's templates, sets of hashtags and UTM presets, once they are asked for.

import { get } from '../../api/client';
import type { Snippet, SnippetKind } from '../../api/drafts';

class Kept {
  all = $state.raw<Snippet[] | null>(null);

  async load(): Promise<void> {
    this.all = (await get<{ items: Snippet[] }>('/snippets')).items;
  }
  of(kind: SnippetKind): Snippet[] {
    return this.all?.filter((s) => s.kind === kind) ?? [];
  }
  put(snippet: Snippet): void {
    const others = this.all?.filter((s) => s.id !== snippet.id) ?? [];
    this.all = [...others, snippet].sort((a, b) => a.name.localeCompare(b.name));
  }
  drop(id: string): void {
    this.all = this.all?.filter((s) => s.id !== id) ?? null;
  }
}

export const kept = new Kept();
