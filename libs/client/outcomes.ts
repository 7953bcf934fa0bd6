/** Telling what users did after they were served, so that a rollout can be judged by it. Ids make a lost answer harmless. */
import { type EventParts, postRetried, type SendOptions } from './events.ts';

export interface OutcomeInput {
  /** With `source`, names it for ever: left out, a new one, which holds for the attempts of this call alone. */
  readonly id?: string;
  readonly source?: string;
  readonly userId: string;
  /** As the plan of the rollout has it: `order`. */
  readonly name: string;
  /** What a sum adds up; 1 where it is left out. */
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

/** All are taken in, or none; a result for each, in order. */
export function sendOutcomes(
  parts: EventParts,
  outcomes: readonly OutcomeInput[],
  options?: SendOptions,
): Promise<readonly OutcomeResult[]> {
  const body = { outcomes: outcomes.map((outcome) => ({ id: parts.newId(), source: parts.source, ...outcome })) };
  return postRetried(parts, { path: '/v1/outcomes', body }, options);
}
