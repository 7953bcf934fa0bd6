/** Sends what users did after they were served, so that a rollout can be judged by it. Ids make a lost answer harmless. */
import { type EventParts, postRetried, requireFinite, type SendOptions } from './events.ts';

export interface OutcomeInput {
  /** With `source`, names it for ever: left out, a new one, which holds for the attempts of this call alone. */
  readonly id?: string;
  readonly source?: string;
  readonly userId: string;
  /** As the plan of the rollout has it: `order`. */
  readonly name: string;
  /** What a sum adds up; 1 where it is left out. NaN and Infinity are refused: JSON would make them null. */
  readonly value?: number;
  /** When it happened, ISO 8601, at most 90 days ago; left out: when it is accepted. */
  readonly time?: string;
}

export interface OutcomeResult {
  readonly id: string;
  readonly source: string;
  readonly userId: string;
  /** `erased`: the user is erased, and nothing but the id was kept. */
  readonly status: 'accepted' | 'duplicate' | 'erased';
}

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
