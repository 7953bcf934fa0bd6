/**
 * Sends outcomes, which are what users did after they were served. Rollouts are judged by them. Ids make retries safe.
 */
import { postRetried, requireFinite, type SendOptions, type SendParts } from '@tandem/transport/send-entries';
import type { Outcome, OutcomeResult } from './wire-types.ts';

export type { OutcomeResult } from './wire-types.ts';

/** An outcome as an application sends it. Without an id, it gets an id for the attempts of this call only. */
export type OutcomeInput = Omit<Outcome, 'id'> & Partial<Pick<Outcome, 'id'>>;

/** The most outcomes of one call. */
export const MAX_OUTCOMES = 1_000;

export interface OutcomeCalls {
  /** Sends up to 1,000 outcomes, and retries like `sendEvents`. */
  sendOutcomes(outcomes: readonly OutcomeInput[], options?: SendOptions): Promise<readonly OutcomeResult[]>;
}

/** Returns the section of a client. */
export function outcomeCalls(parts: SendParts): OutcomeCalls {
  return { sendOutcomes: (outcomes, options) => sendOutcomes(parts, outcomes, options) };
}

/**
 * Sends outcomes, of which all or none are accepted. Returns a result for each, in order. Rejects with a RangeError for
 * NaN, Infinity, and a `value` that is present but undefined: as JSON it would be absent, and count as 1.
 */
async function sendOutcomes(
  parts: SendParts,
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
