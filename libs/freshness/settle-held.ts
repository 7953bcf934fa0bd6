/**
 * Predictions in memory as candidates of a read. The certificate decides on them as on any other: one that is not fresh
 * under it, or not what the caller takes, does not settle anything, and the read goes on to the stores.
 */
import { type HeldPrediction, heldAnswer, type ReadResult } from './answer.ts';
import { type Assignments, isErased } from './certificate.ts';
import type { CertifiedRead, Standing } from './certified-read.ts';
import { TandemError } from './errors.ts';
import { isFresh, judge, serviceOf } from './judge.ts';
import { type HeldPredictions, NOTHING_HELD } from './prediction-memory.ts';
import { notFound, unreachableContext } from './read-errors.ts';
import { standingOf } from './settle.ts';
import type { StoredPrediction } from './stored-prediction.ts';

/** By user. */
export type Held = ReadonlyMap<string, HeldPrediction>;

export const NOBODY_HELD: Held = new Map();
const NO_CANDIDATES: readonly StoredPrediction[] = [];

/** @param assignments as Postgres last said; a guess, which does no harm where it is wrong */
export function findHeld(
  memory: HeldPredictions,
  assignments: Assignments | undefined,
  userIds: readonly string[],
): Held {
  if (!assignments || memory === NOTHING_HELD) return NOBODY_HELD;
  let found: Map<string, HeldPrediction> | undefined;
  for (const userId of userIds) {
    const { generation } = assignments.of(userId);
    const held = generation ? memory.find(generation.id, userId) : undefined;
    if (!held) continue;
    found ??= new Map();
    found.set(userId, held);
  }
  return found ?? NOBODY_HELD;
}

/** Adds the results of those whose held prediction is fresh under the certificate, or who get an error whatever is stored. */
export function settleHeld(
  memory: HeldPredictions,
  read: CertifiedRead,
  userIds: readonly string[],
  held: Held,
  results: Map<string, ReadResult>,
): void {
  for (const userId of userIds) {
    const one = held.get(userId);
    const result = one && settleOneHeld(memory, read, userId, one);
    if (result) results.set(userId, result);
  }
}

/** The result of one user, as `settleHeld` gives it. */
export function settleOneHeld(
  memory: HeldPredictions,
  read: CertifiedRead,
  userId: string,
  held: HeldPrediction,
): ReadResult | undefined {
  const standing = standingOf(read, userId, NO_CANDIDATES);
  if (isErased(standing.user)) memory.forget(held.label.generationId ?? '', userId);
  const { assignment, certificate, predictor, options } = read;
  const unreachable = unreachableContext(options.minContext, certificate.history, standing.user);
  if (unreachable) return unreachable;
  if (isErased(standing.user)) return notFound(standing.userId);
  const policy = predictor.policy.freshness;
  const state = judge(held.label, standing.user, assignment, certificate, policy);
  // What a caller takes as stale may be fresh in the overlay.
  if (!isFresh(state)) return undefined;
  const service = serviceOf(held.label, state, certificate, policy, options);
  return service && heldAnswer(read, standing, held, service.source, service.reason);
}

/** Holds what a generation answered as fresh. The answer, which then says what is held. */
export function hold(memory: HeldPredictions, { userId, candidates }: Standing, result: ReadResult): ReadResult {
  if (result instanceof TandemError || result.source !== 'batch' || result.generationNumber === null) return result;
  const used = candidates.find(
    ({ layer, contextVersion, computedAt }) =>
      layer === 'generation' &&
      contextVersion === result.predictedFromContextVersion &&
      computedAt === result.computedAt,
  );
  if (!used?.generationId || memory === NOTHING_HELD) return result;
  const prediction = Object.freeze(result.prediction);
  const held = memory.keep(used.generationId, userId, { label: labelOf(used), prediction, rendering: undefined });
  return held ? { ...result, held } : result;
}

/** Without the bytes: they share memory with whatever else arrived with them. */
function labelOf({ outputs: _outputs, ...label }: StoredPrediction) {
  return label;
}
