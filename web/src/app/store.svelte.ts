// What the app knows: session, networks, connections, posts. Lists are `$state.raw` and replaced,
// never changed in place. Events name what changed; the object itself is fetched again, many
// events at a time as one request each.

import { all, ApiError, get } from '../api/client';
import type { Campaign, CampaignBrief } from '../api/planning';
import type { Brief, Connection, LiveEvent, Network, NetworkApp, Post, Session } from '../api/types';
import type { Boot } from './boot';
import { withEvent, withNews, without, withPosts, withRange, type Posts } from './merge';

type PlanWatcher = (name: string, id: string | undefined) => void;

/** More posts than are asked for one by one. */
const FRESH = 30_000;
const MANY = 20;

class Store {
  session = $state.raw<Session | null>(null);
  networks = $state.raw<Network[]>([]);
  /** Networks whose own consent page can be used; null until that is known. */
  consents = $state.raw<ReadonlySet<string> | null>(null);
  connections = $state.raw<Connection[]>([]);
  /** Those that were opened, whole. */
  posts = $state.raw<Posts<Post>>(new Map());
  /** What the calendar shows of posts, of many. */
  chips = $state.raw<Posts<Brief>>(new Map());
  /** Of the bars above the weeks; null until they are known. */
  campaigns = $state.raw<CampaignBrief[] | null>(null);
  /** Where the live feed goes on from. */
  lastEventId: string | null = null;
  /** Set once the list that a page shows has been answered for. */
  connectionsKnown = $state(false);

  private mediaWatchers = new Set<(id: string) => void>();
  private bulkWatchers = new Set<(event: LiveEvent) => void>();
  private planWatchers = new Set<PlanWatcher>();
  private asked = new Map<string, number>();
  private due = new Map<string, ReturnType<typeof setTimeout>>();
  /** Posts with news that were not fetched yet, and the days that the calendar shows. */
  private readonly stale = new Set<string>();
  private range: [from: number, to: number] | null = null;
  private answered: { from: number; to: number; at: number }[] = [];
  private crowded = false;
  /** Posts that were deleted while this page was open. */
  private readonly gone = new Set<string>();

  start(boot: Boot): void {
    this.session = boot.session ?? null;
    this.lastEventId = boot.lastEventId ?? null;
    this.networks = boot.networks ?? [];
    if (boot.consents) this.consents = new Set(boot.consents);
    this.campaigns = boot.campaigns ?? null;
    if (boot.connections) this.setConnections(boot.connections);
    if (boot.posts) this.chips = withPosts(this.chips, boot.posts);
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

  /** The posts due in [from, to); what was answered a moment ago is kept fresh by the live feed, unless `again`. */
  async loadRange(from: number, to: number, again = false): Promise<void> {
    this.range = [from, to];
    const now = performance.now();
    this.answered = again ? [] : this.answered.filter((one) => now - one.at < FRESH);
    if (this.answered.some((one) => one.from <= from && to <= one.to)) return;
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const found = await all<Brief>('/calendar', query);
    this.chips = withRange(this.chips, found, from, to);
    this.answered.push({ from, to, at: now });
  }
  /** The sheet stands without them: a look that fails is made up for by the next news. */
  loadCampaigns(): void {
    this.soon('campaigns', async () => {
      const found = await all<Campaign>('/campaigns', { limit: 200 });
      this.campaigns = found.map(({ id, form, state, first, last }) => ({ id, name: form.name, state, first, last }));
    });
  }
  putPost(post: Post): void {
    this.posts = withPosts(this.posts, [post]);
    this.showPost(this.posts.get(post.id) ?? post);
  }
  /** Shows a post in the calendar as it is or will be. */
  showPost(post: Brief): void {
    this.chips = withNews(this.chips, post);
  }
  dropPost(id: string): void {
    this.posts = without(this.posts, id);
    this.chips = without(this.chips, id);
  }

  /** Only the answer to the latest question counts. */
  async loadPost(id: string): Promise<Post | null> {
    const turn = (this.asked.get(id) ?? 0) + 1;
    this.asked.set(id, turn);
    try {
      const post = await get<Post>(`/posts/${id}`);
      if (this.asked.get(id) === turn) {
        this.posts = new Map(this.posts).set(id, post);
        this.showPost(post);
      }
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
      // What changed as it went is not asked for any more, in whatever order that is told.
      this.gone.add(id);
      this.stale.delete(id);
      this.dropPost(id);
    } else if ((name === 'delivery' || name === 'post') && this.isThere(event)) {
      this.posts = withEvent(this.posts, event);
      this.chips = withEvent(this.chips, event);
      this.renew(event.postId ?? event.id);
    }
    if (name === 'review' || name === 'workspace') {
      this.answered = [];
      this.renew(event.postId);
      this.soon('session', () => this.loadSession(), 300);
    }
    if (name === 'media') {
      const id = event.mediaId ?? event.id;
      if (id) for (const tell of this.mediaWatchers) tell(id);
      for (const post of this.posts.values()) if (post.media.some((m) => m.id === id)) this.renew(post.id);
    }
    if (['import', 'feed', 'calendar_link'].includes(name)) for (const tell of this.bulkWatchers) tell(event);
    if (['campaign', 'series', 'post', 'delivery', 'lock', 'snippet'].includes(name)) this.tellPlans(name, event.postId ?? event.id);
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

  /** Calls with news of imports, feeds and the calendar's address, until the returned function is called. */
  watchBulk(tell: (event: LiveEvent) => void): () => void {
    this.bulkWatchers.add(tell);
    return () => this.bulkWatchers.delete(tell);
  }

  /** Calls with the campaign, series or post that the server has news of, many at a time as one. */
  watchPlans(tell: PlanWatcher): () => void {
    this.planWatchers.add(tell);
    return () => this.planWatchers.delete(tell);
  }
  private tellPlans(name: string, id: string | undefined): void {
    if (!this.planWatchers.size) return;
    const tell = async () => this.planWatchers.forEach((watcher) => watcher(name, id));
    this.soon(`plan ${name} ${id}`, tell, 400);
  }

  /** Is it of a post that was not deleted, or that is back? */
  private isThere(event: LiveEvent): boolean {
    const id = event.postId ?? event.id ?? '';
    if (event.kind === 'post.created') this.gone.delete(id);
    return !this.gone.has(id);
  }
  private renew(post: string | undefined): void {
    if (!post) return;
    this.stale.add(post);
    this.soon('posts', () => this.loadStale(), this.crowded ? 1500 : 120);
  }
  /** Few posts are fetched each; of many (an import, a campaign) the calendar's days at once, and whole ones that are known. */
  private async loadStale(): Promise<void> {
    const ids = [...this.stale];
    this.stale.clear();
    this.crowded = ids.length > MANY && this.range !== null;
    const whole = this.crowded ? ids.filter((id) => this.posts.has(id)) : ids;
    await Promise.all([...whole.map((id) => this.loadPost(id)), this.crowded && this.range && this.loadRange(...this.range, true)]);
  }
  private setConnections(connections: Connection[]): void {
    this.connections = connections;
    this.connectionsKnown = true;
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
