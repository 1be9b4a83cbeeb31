// X's own rule for links, loaded when a text is first counted for X. Until it is there only links
// with a scheme count as such; then what was counted is counted again.

import { urls, type Span } from './links';

class XLinks {
  private find = $state.raw<(text: string) => Span[]>(urls);
  private asked: Promise<void> | null = null;

  in(text: string): Span[] {
    void this.ready();
    return this.find(text);
  }
  ready(): Promise<void> {
    this.asked ??= import('./bare').then(({ links }) => {
      this.find = links;
    });
    return this.asked;
  }
}

export const xlinks = new XLinks();
