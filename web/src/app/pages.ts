// Each page is a chunk of its own, loaded when pointed at or gone to.

export const pages = {
  planner: () => import('../features/planner/Planner.svelte'),
  connections: () => import('../features/connections/Connections.svelte'),
  media: () => import('../features/media/Media.svelte'),
  unknown: () => import('./Unknown.svelte'),
};
