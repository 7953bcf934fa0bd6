/** A generation in the wire format. */
import type { Generation } from '@tandem/prediction/runs/generations';
import type { GenerationView } from '@tandem/wire/generations';

/**
 * Returns a generation as the API shows it.
 * @param refusal why a held-back generation cannot be approved, or null; undefined if it is not held back
 */
export function generationView(generation: Generation, refusal?: string | null): GenerationView {
  const { number, predictor, state, inForce, wasStable, servedStable } = generation;
  const { modelNumber, users, usersLeft, baseNumber, runId, plannedAt, publishedAt } = generation;
  return {
    generation: String(number),
    predictor,
    state: refusal === undefined ? state : 'held_back',
    approvalRefused: refusal ?? null,
    inForce,
    wasStable,
    servedStable,
    modelVersion: String(modelNumber),
    kind: baseNumber === null ? 'everyone' : 'budgeted',
    users,
    base: baseNumber === null ? null : String(baseNumber),
    usersLeft,
    runId,
    startedAt: new Date(plannedAt).toISOString(),
    publishedAt: publishedAt?.toISOString() ?? null,
  };
}
