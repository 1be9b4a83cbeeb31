// A router for a handful of addresses. Links are real `<a>`; a plain click on one of ours is taken
// over. `/posts/{id}` is the planner with that post's panel open; lists keep their filters in the query.

import type { CampaignKind } from '../api/planning';
import { placeOf, type Place } from '../features/planner/place';

const KINDS: CampaignKind[] = ['event', 'promotion', 'weekly', 'instant'];

export type Route =
  /** `post`: whose panel is open over the place that was looked at, which its address does not say. */
  | { page: 'planner'; place: Place | null; post: string | null }
  | { page: 'campaigns'; id: string | null; kind: CampaignKind | null }
  | { page: 'connections'; consent: string | null }
  | { page: 'diagnostics' }
  | { page: 'media'; query: URLSearchParams }
  | { page: 'reviews' }
  | { page: 'transfer' }
  | { page: 'queue' }
  | { page: 'dead-letters'; query: URLSearchParams }
  | { page: 'audit'; query: URLSearchParams }
  | { page: 'apps' }
  | { page: 'trash' }
  | { page: 'unknown' };

export function parse(url: URL): Route {
  const path = url.pathname.replace(/\/+$/, '') || '/';
  const place = placeOf(url);
  if (place) return { page: 'planner', place, post: null };
  const post = /^\/posts\/([0-9a-zA-Z-]+)$/.exec(path)?.[1];
  if (post) return { page: 'planner', place: null, post };
  const campaign = /^\/campaigns(?:\/([0-9a-zA-Z-]+))?$/.exec(path);
  if (campaign) {
    const kind = KINDS.find((k) => k === url.searchParams.get('kind')) ?? null;
    return { page: 'campaigns', id: campaign[1] ?? null, kind };
  }
  if (path === '/connections') return { page: 'connections', consent: url.searchParams.get('consent') };
  if (path === '/connections/diagnostics') return { page: 'diagnostics' };
  if (path === '/media') return { page: 'media', query: url.searchParams };
  if (path === '/reviews') return { page: 'reviews' };
  if (path === '/transfer') return { page: 'transfer' };
  if (path === '/queue') return { page: 'queue' };
  if (path === '/dead-letters') return { page: 'dead-letters', query: url.searchParams };
  if (path === '/apps') return { page: 'apps' };
  if (path === '/trash') return { page: 'trash' };
  if (path === '/audit') return { page: 'audit', query: url.searchParams };
  return { page: 'unknown' };
}

class Router {
  current = $state.raw<Route>(parse(new URL(location.href)));

  /** Goes to one of our addresses. `history.state.from` tells where going back leads to. */
  go(href: string, { replace = false } = {}): void {
    const url = new URL(href, location.origin);
    if (url.href !== location.href) {
      if (replace) history.replaceState(history.state, '', url);
      else history.pushState({ from: location.href }, '', url);
    }
    this.current = parse(url);
  }

  /** Back to where a panel was opened from, or to `href` when it was opened by its address. */
  leave(href: string): void {
    const from = (history.state as { from?: string } | null)?.from;
    if (!from) return this.go(href, { replace: true });
    // The browser goes back when it gets to it; keys pressed meanwhile are for what is shown then.
    this.current = parse(new URL(from));
    history.back();
  }

  /** Takes over clicks and the back button until the returned function is called. */
  listen(): () => void {
    const onPop = () => (this.current = parse(new URL(location.href)));
    const onClick = (event: MouseEvent) => {
      const href = ours(event);
      if (!href) return;
      event.preventDefault();
      this.go(href);
    };
    addEventListener('popstate', onPop);
    document.addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', onPop);
      document.removeEventListener('click', onClick);
    };
  }
}

export const router = new Router();

/** The address behind a plain click on a link of the app; everything else is the browser's. */
function ours(event: MouseEvent): string | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
  if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return null;
  if (link.hash && link.pathname === location.pathname) return null;
  return parse(new URL(link.href)).page === 'unknown' ? null : link.href;
}
