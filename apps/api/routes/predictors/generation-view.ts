/** A generation in the wire format. */
import type { Generation } from '@tandem/prediction/runs/generations';
import type { GenerationView } from '@tandem/wire/generations';

export function generationView(generation: Generation): GenerationView {
  const { number, predictor, state, inForce, wasStable, servedStable } = generation;
  const { modelNumber, users, usersLeft, baseNumber, runId, plannedAt, publishedAt } = generation;
  return {
    generation: String(number),
    predictor,
    state,
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
