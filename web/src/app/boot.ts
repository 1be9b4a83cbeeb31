// The JSON block that the server put into the shell: what the first screen needs, without a request.
// Every part may be absent (another route, an error while rendering): then it is fetched.

import type { Alert, DeadLetter, Pause } from '../api/desk';
import type { CampaignBrief } from '../api/planning';
import type { Brief, Connection, Network, Session } from '../api/types';

export interface Boot {
  session?: Session;
  networks?: Network[];
  /** Networks whose consent page can be used. */
  consents?: string[];
  connections?: Connection[];
  /** Those of this month, as the calendar shows them. */
  posts?: Brief[];
  campaigns?: CampaignBrief[];
  /** What the bands above every page say. */
  pauses?: Pause[];
  alerts?: Alert[];
  /** Deliveries of which a person has to say whether they are live. */
  questions?: DeadLetter[];
  month?: string;
  now?: string;
  /** Where the live feed goes on from. */
  lastEventId?: string;
}

export function readBoot(doc: Document = document): Boot {
  const text = doc.getElementById('boot')?.textContent;
  return text ? (JSON.parse(text) as Boot) : {};
}
