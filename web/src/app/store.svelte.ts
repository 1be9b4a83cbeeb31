// What the app knows: session, networks, connections, posts. Lists are `$state.raw` and replaced,
// never changed in place. Events name what changed; the object itself is fetched again, many
// events at a time as one request each.

import { all, ApiError, get } from '../api/client';
import type { Connection, LiveEvent, Network, NetworkApp, Post, Session } from '../api/types';
import type { Boot } from './boot';
import { withEvent, without, withPosts, withRange, type Posts } from './merge';

class Store {
  session = $state.raw<Session | null>(null);
  networks = $state.raw<Network[]>([]);
  /** Networks whose own consent page can be used; null until that is known. */
  consents = $state.raw<ReadonlySet<string> | null>(null);
  connections = $state.raw<Connection[]>([]);
  posts = $state.raw<Posts>(new Map());
  /** Where the live feed goes on from. */
  lastEventId: string | null = null;
  /** Set once the list that a page shows has been answered for. */
  connectionsKnown = $state(false);

  private mediaWatchers = new Set<(id: string) => void>();
  private asked = new Map<string, number>();
  private due = new Map<string, ReturnType<typeof setTimeout>>();

  start(boot: Boot): void {
    this.session = boot.session ?? null;
    this.lastEventId = boot.lastEventId ?? null;
    this.networks = boot.networks ?? [];
    if (boot.consents) this.consents = new Set(boot.consents);
    if (boot.connections) this.setConnections(boot.connections);
    if (boot.posts) this.posts = withPosts(this.posts, boot.posts);
  }

  /** Fetches what the shell did not carry. */
  async complete(): Promise<void> {
    const [session, networks] = await Promise.all([
      this.session ?? get<Session>('/session'),
      this.networks.length ? this.networks : all<Network>('/networks'),
      this.connectionsKnown ? null : this.loadConnections(),
      this.consents ? null : this.loadApps(),
    ]);
    this.session = session;
    this.networks = networks;
  }

  async loadSession(): Promise<void> {
    this.session = await get<Session>('/session');
  }

  /** What is set up at the networks, for their page and for who may change it. */
  async loadApps(): Promise<{ items: NetworkApp[]; editable: boolean }> {
    const found = await get<{ items: NetworkApp[]; editable: boolean }>('/apps');
    this.consents = new Set(found.items.filter((a) => a.ready).map((a) => a.network));
    return found;
  }
  /** Can an account be connected through its network's consent page? */
  hasConsent(network: string): boolean {
    return this.consents?.has(network) ?? false;
  }

  network(id: string): Network | undefined {
    return this.networks.find((n) => n.id === id);
  }
  /** The two letters on chips. */
  code(network: string): string {
    return this.network(network)?.code ?? network.slice(0, 2).toUpperCase();
  }
  networkName(network: string): string {
    return this.network(network)?.name ?? network;
  }

  async loadConnections(): Promise<void> {
    this.setConnections(await all<Connection>('/connections'));
  }
  putConnection(connection: Connection): void {
    const i = this.connections.findIndex((c) => c.id === connection.id);
    this.connections = i < 0 ? [...this.connections, connection] : this.connections.with(i, connection);
  }
  dropConnection(id: string): void {
    this.connections = this.connections.filter((c) => c.id !== id);
  }

  async loadRange(from: number, to: number): Promise<void> {
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), limit: 500 };
    const found = await all<Post>('/posts', query);
    this.posts = withRange(this.posts, found, from, to);
  }
  putPost(post: Post): void {
    this.posts = withPosts(this.posts, [post]);
  }
  /** Shows a post as it will be; returns what was there before. */
  showPost(post: Post): Post | undefined {
    const before = this.posts.get(post.id);
    this.posts = new Map(this.posts).set(post.id, post);
    return before;
  }
  dropPost(id: string): void {
    this.posts = without(this.posts, id);
  }

  /** Only the answer to the latest question counts. */
  async loadPost(id: string): Promise<Post | null> {
    const turn = (this.asked.get(id) ?? 0) + 1;
    this.asked.set(id, turn);
    try {
      const post = await get<Post>(`/posts/${id}`);
      if (this.asked.get(id) === turn) this.posts = new Map(this.posts).set(id, post);
      return post;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        this.dropPost(id);
        return null;
      }
      throw error;
    }
  }

  onEvent(name: string, event: LiveEvent): void {
    if (event.kind === 'post.deleted') {
      const id = event.postId ?? event.id ?? '';
      // What changed before it went is not asked for any more.
      this.never(`post ${id}`);
      this.dropPost(id);
    } else if (name === 'delivery' || name === 'post') {
      this.posts = withEvent(this.posts, event);
      this.renew(event.postId ?? event.id);
    }
    if (name === 'review' || name === 'workspace') {
      this.renew(event.postId);
      this.soon('session', () => this.loadSession(), 300);
    }
    if (name === 'media') {
      const id = event.mediaId ?? event.id;
      if (id) for (const tell of this.mediaWatchers) tell(id);
      for (const post of this.posts.values()) if (post.media.some((m) => m.id === id)) this.renew(post.id);
    }
    // A delivery's end changes "waiting" and "last success" of its connection too.
    if (name === 'connection' || name === 'delivery') {
      this.soon('connections', () => this.loadConnections(), 1000);
    }
  }

  /** Calls with every file that the server has news of, until the returned function is called. */
  watchMedia(tell: (id: string) => void): () => void {
    this.mediaWatchers.add(tell);
    return () => this.mediaWatchers.delete(tell);
  }

  private renew(post: string | undefined): void {
    if (post) this.soon(`post ${post}`, () => this.loadPost(post));
  }
  private setConnections(connections: Connection[]): void {
    this.connections = connections;
    this.connectionsKnown = true;
  }

  private never(key: string): void {
    clearTimeout(this.due.get(key));
    this.due.delete(key);
  }

  /** Runs the fetch once for all that is asked within `ms`. A failed one is made up for on resume. */
  private soon(key: string, fetch: () => Promise<unknown>, ms = 120): void {
    if (this.due.has(key)) return;
    this.due.set(
      key,
      setTimeout(() => {
        this.due.delete(key);
        fetch().catch((error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
        });
      }, ms),
    );
  }
}

export const store = new Store();
