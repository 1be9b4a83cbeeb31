// Each page is a chunk of its own, loaded when pointed at or gone to.

export const pages = {
  planner: () => import('../features/planner/Planner.svelte'),
  campaigns: () => import('../features/campaigns/Campaigns.svelte'),
  connections: () => import('../features/connections/Connections.svelte'),
  diagnostics: () => import('../features/connections/Diagnostics.svelte'),
  media: () => import('../features/media/Media.svelte'),
  reviews: () => import('../features/reviews/Reviews.svelte'),
  transfer: () => import('../features/bulk/Transfer.svelte'),
  queue: () => import('../features/queue/Queue.svelte'),
  'dead-letters': () => import('../features/dead-letters/DeadLetters.svelte'),
  trash: () => import('../features/trash/Trash.svelte'),
  audit: () => import('../features/audit/Audit.svelte'),
  apps: () => import('../features/apps/Apps.svelte'),
  unknown: () => import('./Unknown.svelte'),
};
