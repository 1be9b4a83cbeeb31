// The one next step of a dead letter. What may be live is asked about before anything else; what
// its cause would refuse again is mended first.

import type { DeadLetter } from '../../api/desk';

export type NextStep = 'answer' | 'reconnect' | 'edit' | 'replay' | 'open';

export function nextStep(d: DeadLetter): NextStep {
  if (d.question === 'is_it_live') return 'answer';
  const action = d.problem?.action;
  if (action === 'reconnect' || action === 'complete_connection') return 'reconnect';
  if (!d.replay.safe) return 'open';
  return action === 'edit_post' ? 'edit' : 'replay';
}
