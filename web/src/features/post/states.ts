// States of deliveries as people see them, in the inks of posts.

import { word } from '../../app/i18n';
import type { DeliveryState } from '../../api/types';
import type { Ink } from '../planner/states';

const DELIVERY: Record<DeliveryState, Ink> = {
  draft: 'draft',
  queued: 'scheduled',
  leased: 'sending',
  sending: 'sending',
  waiting: 'sending',
  unknown: 'held',
  published: 'published',
  failed: 'failed',
  cancelled: 'cancelled',
  held: 'held',
  missed: 'failed',
  removed: 'cancelled',
};

export const deliveryInk = (state: DeliveryState): Ink => DELIVERY[state] ?? 'draft';
export const deliveryWord = (state: DeliveryState) => word('delivery.state', state);
