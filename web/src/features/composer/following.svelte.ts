// What follows a post, in the composer: the parts of its thread after the first, and its first
// comment. As with the text, connections inherit what is shared until their own tab is edited.

import type { Connection, Id, Placement, Problem } from '../../api/types';
import { store } from '../../app/store.svelte';
import { commentOf, placeOf, SHARED, threadOf, without, type Draft, type Follows } from './draft';
import type { Work } from './work.svelte';

export type Kind = 'thread' | 'comment';
const PLACEMENT = { thread: 'reply', comment: 'comment' };

export class Following {
  private readonly work: Work;
  constructor(work: Work) {
    this.work = work;
  }
  private get draft(): Draft {
    return this.work.draft;
  }

  /** Where it goes after a connection's post; nowhere when the network has no such thing there. */
  rule(connection: Connection, kind: Kind): Placement | undefined {
    const after = this.work.placement(connection)?.id ?? '';
    const placements = store.network(connection.network)?.placements ?? [];
    return placements.find((p) => p.id === PLACEMENT[kind] && p.follows.includes(after));
  }
  readonly follows = (id: Id): Follows => {
    const connection = this.work.chosen.find((c) => c.id === id);
    const can = (kind: Kind) => connection !== undefined && this.rule(connection, kind) !== undefined;
    return { thread: can('thread'), comment: can('comment') };
  };
  /** The connections of a tab that take it, or that do not. */
  takers(tab: Id, kind: Kind): Connection[] {
    return this.on(tab).filter((c) => this.rule(c, kind));
  }
  others(tab: Id, kind: Kind): Connection[] {
    return this.on(tab).filter((c) => !this.rule(c, kind));
  }
  private on(tab: Id): Connection[] {
    return tab === SHARED ? this.work.chosen : this.work.chosen.filter((c) => c.id === tab);
  }

  thread(tab: Id): string[] {
    return threadOf(this.draft, tab === SHARED ? null : tab);
  }
  comment(tab: Id): string | null {
    return commentOf(this.draft, tab === SHARED ? null : tab);
  }
  /** Has a connection something of its own, of that which its network takes? */
  isOwn(id: Id, kind: Kind): boolean {
    return this.follows(id)[kind] && id in (kind === 'thread' ? this.draft.threads : this.draft.comments);
  }
  /** A first comment that no chosen network takes. */
  readonly lostComment = $derived.by(() => Boolean(this.draft.comment) && !this.work.chosen.some((c) => this.rule(c, 'comment')));

  setThread(tab: Id, parts: string[]): void {
    if (tab === SHARED) this.draft.thread = parts;
    else this.draft.threads = { ...this.draft.threads, [tab]: parts };
  }
  setComment(tab: Id, comment: string | null): void {
    if (tab === SHARED) this.draft.comment = comment;
    // None of its own where there is none to inherit is nothing.
    else if (comment === null && this.draft.comment === null) this.inherit(tab, 'comment');
    else this.draft.comments = { ...this.draft.comments, [tab]: comment };
  }
  inherit(id: Id, kind: Kind): void {
    if (kind === 'thread') this.draft.threads = without(this.draft.threads, id);
    else this.draft.comments = without(this.draft.comments, id);
  }

  /** Changes places with its neighbour; the first part is the text itself. */
  move(tab: Id, part: number, by: 1 | -1): void {
    const all = [tab === SHARED ? this.draft.text : this.work.textOf(tab), ...this.thread(tab)];
    const to = part + by;
    [all[part], all[to]] = [all[to] ?? '', all[part] ?? ''];
    if (Math.min(part, to) === 0) this.work.setText(tab, all[0] ?? '');
    this.setThread(tab, all.slice(1));
  }

  /** What is said of a part after the first, or without one of the whole thread or the comment, on a tab. */
  problems(kind: Kind, tab: Id, part?: number): Problem[] {
    return this.work.problemsAt(kind).filter((p) => {
      const found = placeOf(p, this.draft);
      const id = found.connectionId;
      const here = tab === SHARED ? id === null || !this.isOwn(id, kind) : id === tab;
      return here && found.part === part;
    });
  }
}
