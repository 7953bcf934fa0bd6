/**
 * Sends outcomes, which are what users did after they were served. Rollouts are judged by them. Ids make retries safe.
 */
import { type EventParts, postRetried, requireFinite, type SendOptions } from './events.ts';
import type { OutcomeInput, OutcomeResult } from './wire.ts';

export type { OutcomeInput, OutcomeResult } from './wire.ts';

/** The most outcomes of one call. */
export const MAX_OUTCOMES = 1_000;

/**
 * Sends outcomes, of which all or none are accepted. Returns a result for each, in order. Rejects with a RangeError for
 * NaN and Infinity.
 */
export async function sendOutcomes(
  parts: EventParts,
  outcomes: readonly OutcomeInput[],
  options?: SendOptions,
): Promise<readonly OutcomeResult[]> {
  for (const [i, { value }] of outcomes.entries()) requireFinite(value, `outcomes[${i}].value`);
  const body = { outcomes: outcomes.map((outcome) => ({ id: parts.newId(), source: parts.source, ...outcome })) };
  return postRetried(parts, { path: '/v1/outcomes', body }, options);
}
