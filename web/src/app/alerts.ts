// Where an alert is dealt with.

import type { Alert } from '../api/desk';

const HREF: Record<string, string> = {
  connection_needs_action: '/connections',
  circuit_open: '/queue',
  no_worker: '/queue',
  delivery_late: '/queue',
  preflight_failed: '/planner',
};

export const alertHref = (alert: Alert): string => HREF[alert.kind] ?? '/queue';
