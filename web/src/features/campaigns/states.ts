// States of campaigns as people see them.

import type { Campaign, CampaignState } from '../../api/planning';
import { tn } from '../../app/i18n';
import type { Ink } from '../planner/states';

const INK: Record<CampaignState, Ink> = {
  draft: 'draft',
  scheduled: 'scheduled',
  paused: 'held',
  cancelled: 'cancelled',
  ended: 'published',
};
export const inkOf = (state: CampaignState): Ink => INK[state] ?? 'draft';

/** "2 published", "1 needs you": what there is of each. */
export function partsOf({ progress }: Campaign): string[] {
  const { draft, inReview, scheduled, published, stuck, cancelled } = progress;
  return [
    draft && tn('campaign.part.draft', draft),
    inReview && tn('campaign.part.inReview', inReview),
    scheduled && tn('campaign.part.scheduled', scheduled),
    published && tn('campaign.part.published', published),
    stuck && tn('campaign.part.stuck', stuck),
    cancelled && tn('campaign.part.cancelled', cancelled),
  ].filter((part) => part !== 0);
}
