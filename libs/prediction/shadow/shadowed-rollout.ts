/** A shadow under way in this process: who is in it, which of their answers wait, and what has been found so far. */
import type { Answer } from '@tandem/freshness/answer';
import type { AssignedRollout, Assignments } from '@tandem/freshness/certificate';
import type { CpuBudget } from './cpu-budget.ts';
import { createShadowLine, type ShadowLine } from './shadow-line.ts';
import { ShadowTally } from './shadow-tally.ts';

export interface ShadowedRollout {
  readonly id: string;
  readonly predictor: string;
  readonly candidateVersionId: string;
  readonly line: ShadowLine;
  readonly tally: ShadowTally;
  /** Whether the user's answers are shadowed: whole users, by their bucket. */
  has(userId: string): boolean;
}

/** A user's bucket is a place among so many; @see AssignedRollout.bucketOf */
const BUCKETS = 10_000;

/** Undefined where the rollout is no shadow, or has no candidate. */
export function shadowedBy(
  predictor: string,
  { id, plan, arms, bucketOf }: AssignedRollout,
  budget: CpuBudget,
  now: () => number,
): ShadowedRollout | undefined {
  const [candidate] = arms;
  if (plan.kind !== 'shadow' || !candidate) return undefined;
  const endBucket = plan.share * BUCKETS;
  return {
    id,
    predictor,
    candidateVersionId: candidate.modelVersionId,
    line: createShadowLine({ maxPerSecond: plan.maxPerSecond, budget, now }),
    tally: new ShadowTally(),
    has: (userId) => bucketOf(userId) < endBucket,
  };
}

/** Whether the rollout is still what Postgres last said of its predictor. */
export function isUnderWay({ id }: Pick<ShadowedRollout, 'id'>, assignments: Assignments | undefined): boolean {
  return assignments?.rollout?.id === id;
}

/** Whether an answer is of somebody who is served by the stable arm beside a shadow, and not put anywhere by hand. */
export function isBesideShadow({ rollout }: Answer): boolean {
  return rollout !== null && rollout.kind === 'shadow' && !rollout.overridden;
}
