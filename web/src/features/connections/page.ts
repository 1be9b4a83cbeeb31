// The way to a network's own consent page.

import { post as send } from '../../api/client';

export interface Wanted {
  network: string;
  /** The connection that is to work again. */
  reconnect?: string;
  /** Where the network is many servers, the account's own. */
  server?: string;
}

/** Leaves the app for the page, which leads back to `/connections?consent=…`. */
export async function goToPage(wanted: Wanted, leave = (url: string) => location.assign(url)): Promise<void> {
  const { url } = await send<{ id: string; url: string }>('/connections/consent', wanted);
  leave(url);
}
