/**
 * The shadow: a candidate model version computes answers for users that were served, and both answers are compared.
 * Reads do not wait for it. Served answers are queued after the reply, in a bounded queue. The candidate's answers are
 * computed in batches, one pass at a time, with a separate scorer and separate connections (shadow-passes.ts). Answers
 * beyond the shadow's rate or its share of a processor are dropped and counted.
 */
import { BUCKETS } from '@tandem/experiment/assignment';
import type { Answer } from '@tandem/freshness/answer';
import type { AssignedRollout, Assignments } from '@tandem/freshness/certificate';
import { repeat } from '@tandem/timing/repeat';
import { type CpuBudget, createCpuBudget } from '../scoring/cpu-budget.ts';
import { createShadowLine, type ShadowLine } from './shadow-line.ts';
import { createShadowPasses, type ShadowPassesDependencies } from './shadow-passes.ts';
import type { ShadowStore } from './shadow-report.ts';
import { ShadowTally } from './shadow-tally.ts';

export interface ShadowDependencies
  extends Pick<ShadowPassesDependencies, 'registry' | 'features' | 'scorer' | 'observer' | 'passMs'> {
  /** Returns the last known assignments of a predictor. */
  assignments(predictor: string): Assignments | undefined;
  readonly store: ShadowStore;
  /** The id of this process's sums. */
  readonly processId: string;
  /** Milliseconds between two writes of the sums; default 5 s. */
  readonly keepEveryMs?: number | undefined;
  /** A clock in milliseconds that only rises; for tests. */
  readonly now?: () => number;
}

export interface Shadow {
  /** Queues a served answer if its user is shadowed. Never throws and never waits. */
  notice(answer: Answer): void;
  /** Returns the number of waiting answers. */
  waiting(): number;
  /** Ends the current pass and stores the sums. */
  close(): Promise<void>;
}

/** The share of one processor, which is enough for a thousand users of most models within seconds. */
const CPU_SHARE = 0.25;
const KEEP_EVERY_MS = 5_000;
/** The time without work after which the shadow's processes are ended. */
const IDLE_MS = 60_000;

export function createShadow(dependencies: ShadowDependencies): Shadow {
  const { assignments, store, processId, observer, now = () => performance.now() } = dependencies;
  const { keepEveryMs = KEEP_EVERY_MS } = dependencies;
  const budget = createCpuBudget(CPU_SHARE, now);
  /** Shadowed rollouts by predictor. The predictor of the last turn comes last. */
  const shadowed = new Map<string, ShadowedRollout>();
  /** Finished rollouts, until their last sums are stored. */
  const over = new Set<ShadowedRollout>();
  const passes = createShadowPasses({ ...dependencies, budget, next, now });
  // The loop runs in every process. A round without a shadow does nothing.
  const keeping = repeat(keepEveryMs, keepAll);
  let isClosed = false;

  function next(): ShadowedRollout | undefined {
    const one = [...shadowed.values()].find(({ line }) => line.size > 0);
    if (!one) return undefined;
    shadowed.delete(one.predictor);
    shadowed.set(one.predictor, one);
    return one;
  }

  function find({ predictor, rollout }: Answer): ShadowedRollout | undefined {
    const known = shadowed.get(predictor);
    if (known?.id === rollout?.id) return known;
    const assigned = assignments(predictor)?.rollout;
    // The answer may belong to an earlier or later assignment than the last known one. It is then skipped; others will
    // follow.
    if (!assigned || assigned.id !== rollout?.id) return undefined;
    const made = shadowedBy(predictor, assigned, budget, now);
    if (!made) return undefined;
    if (known) over.add(known);
    shadowed.set(predictor, made);
    observer.began(predictor, made.id);
    return made;
  }

  async function keepOne(one: ShadowedRollout): Promise<void> {
    const { id: rolloutId, tally } = one;
    const movers = tally.takeMovers();
    try {
      tally.raiseFloor(await store.keep({ rolloutId, processId, rows: tally.rows(), movers }));
      if (over.delete(one)) observer.ended(one.predictor, rolloutId, tally.outcomes());
    } catch (error) {
      // The next write repeats the sums. The lost users with the largest changes may be found again.
      observer.notKept(rolloutId, error);
    }
  }

  async function keepAll(): Promise<void> {
    for (const one of [...shadowed.values()]) {
      if (isUnderWay(one, assignments(one.predictor)) || passes.isOf(one)) continue;
      shadowed.delete(one.predictor);
      over.add(one);
    }
    for (const one of [...over, ...shadowed.values()]) await keepOne(one);
    // A failed remainder is retried in the next round.
    await passes.restAfter(shadowed.size === 0 ? 0 : IDLE_MS).catch(() => {});
  }

  return {
    notice(answer) {
      if (!isBesideShadow(answer) || isClosed) return;
      const one = find(answer);
      if (!one?.has(answer.userId)) return;
      const outcome = one.line.add(answer);
      if (outcome === 'waits') return passes.schedule();
      one.tally.count(outcome);
      observer.counted(one.predictor, outcome, 1);
    },
    waiting: () => [...shadowed.values()].reduce((sum, { line }) => sum + line.size, 0),
    async close() {
      isClosed = true;
      await passes.stop();
      await keeping.stop();
      await keepAll();
    },
  };
}

// A shadow in this process consists of its users, their waiting answers, and its results so far.

export interface ShadowedRollout {
  readonly id: string;
  readonly predictor: string;
  readonly candidateVersionId: string;
  readonly line: ShadowLine;
  readonly tally: ShadowTally;
  /** Returns whether the user's answers are shadowed. Users are chosen by bucket, with all their answers. */
  has(userId: string): boolean;
}

/** Returns the shadow of a rollout; undefined if the rollout is not a shadow or has no candidate. */
function shadowedBy(
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

/** Returns whether the rollout is still the predictor's last known rollout. */
function isUnderWay({ id }: Pick<ShadowedRollout, 'id'>, assignments: Assignments | undefined): boolean {
  return assignments?.rollout?.id === id;
}

/** Returns whether an answer belongs to a shadow rollout and comes from the stable arm, without an override. */
function isBesideShadow({ rollout }: Answer): boolean {
  return rollout !== null && rollout.kind === 'shadow' && !rollout.overridden;
}
