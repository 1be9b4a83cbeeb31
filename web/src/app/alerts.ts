// Where an alert is dealt with.

import type { Alert } from '../api/desk';
import { store } from './store.svelte';

const HREF: Record<string, string> = {
  connection_needs_action: '/connections',
  connection_ends: '/connections',
  media_failed: '/media',
  media_quota_near: '/media',
  media_quota_full: '/media',
  circuit_open: '/queue',
  no_worker: '/queue',
  series_unplanned: '/planner',
  feed_failing: '/transfer',
  delivery_late: '/queue',
  approval_due: '/reviews',
};

export function alertHref(alert: Alert): string {
  // Their subject is the post.
  if (alert.kind === 'approval_lost' || alert.kind === 'changes_requested') return `/posts/${alert.subject}`;
  if (alert.kind !== 'preflight_failed') return HREF[alert.kind] ?? '/queue';
  // Its subject is the delivery; one that is not on the screen is found from the planner.
  for (const post of store.chips.values()) {
    if (post.deliveries.some((d) => d.id === alert.subject)) return `/posts/${post.id}`;
  }
  return '/planner';
}
