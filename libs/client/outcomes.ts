/** Sends what users did after they were served, so that a rollout can be judged by it. Ids make a lost answer harmless. */
import { type EventParts, postRetried, requireFinite, type SendOptions } from './events.ts';
import type { OutcomeInput, OutcomeResult } from './wire.ts';

export type { OutcomeInput, OutcomeResult } from './wire.ts';

/** Outcomes that one call takes at most. */
export const MAX_OUTCOMES = 1_000;

/** Sends outcomes: all are accepted, or none; a result for each, in order. Rejects with a RangeError for a value that JSON has not. */
export async function sendOutcomes(
  parts: EventParts,
  outcomes: readonly OutcomeInput[],
  options?: SendOptions,
): Promise<readonly OutcomeResult[]> {
  for (const [i, { value }] of outcomes.entries()) requireFinite(value, `outcomes[${i}].value`);
  const body = { outcomes: outcomes.map((outcome) => ({ id: parts.newId(), source: parts.source, ...outcome })) };
  return postRetried(parts, { path: '/v1/outcomes', body }, options);
}
