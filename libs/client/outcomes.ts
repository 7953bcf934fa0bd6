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
 * NaN, Infinity, and a `value` that is present but undefined: as JSON it would be absent, and count as 1.
 */
export async function sendOutcomes(
  parts: EventParts,
  outcomes: readonly OutcomeInput[],
  options?: SendOptions,
): Promise<readonly OutcomeResult[]> {
  for (const [i, outcome] of outcomes.entries()) {
    const place = `outcomes[${i}].value`;
    requireFinite(outcome.value, place);
    if (!('value' in outcome) || outcome.value !== undefined) continue;
    throw new RangeError(`${place} is undefined: send a number, or leave value out for an outcome that counts as 1`);
  }
  const body = { outcomes: outcomes.map((outcome) => ({ id: parts.newId(), source: parts.source, ...outcome })) };
  return postRetried(parts, { path: '/v1/outcomes', body }, options);
}
