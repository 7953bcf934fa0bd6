/**
 * The shadow: a candidate model version computes its answers for users who have been answered, and both answers are
 * compared. Reads do not wait for it. Served answers are queued after the reply was made, in a bounded queue. They are
 * computed in batches, one pass at a time, by a scorer and over connections of the shadow (shadow-passes.ts). Answers
 * beyond its rate or its share of a processor are dropped and counted.
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
  extends Pick<ShadowPassesDependencies, 'registry' | 'features' | 'scorer' | 'observer'> {
  /** Returns the last known assignments of a predictor. */
  assignments(predictor: string): Assignments | undefined;
  readonly store: ShadowStore;
  /** Tells this process's sums from others'. */
  readonly processId: string;
  /** Milliseconds between two times that sums are kept; 5 s where it is not said. */
  readonly keepEveryMs?: number | undefined;
  /** Milliseconds that only ever rise; for tests. */
  readonly now?: () => number;
}

export interface Shadow {
  /** An answer was given. Costs next to nothing where there is no shadow, never throws, and waits for nothing. */
  notice(answer: Answer): void;
  /** Answers that wait. */
  waiting(): number;
  /** Ends the passes under way and keeps the sums. */
  close(): Promise<void>;
}

/** Share of one processor: enough for a thousand users of most models within seconds. */
const CPU_SHARE = 0.25;
const KEEP_EVERY_MS = 5_000;
/** After this time without work, its processes are ended. */
const IDLE_MS = 60_000;

export function createShadow(dependencies: ShadowDependencies): Shadow {
  const { assignments, store, processId, observer, now = () => performance.now() } = dependencies;
  const { keepEveryMs = KEEP_EVERY_MS } = dependencies;
  const budget = createCpuBudget(CPU_SHARE, now);
  /** Shadowed rollouts by predictor; the predictor of the last turn is the last. */
  const shadowed = new Map<string, ShadowedRollout>();
  /** Finished rollouts, until their last sums are stored. */
  const over = new Set<ShadowedRollout>();
  const passes = createShadowPasses({ ...dependencies, budget, next, now });
  // In every process: a round without a shadow does nothing.
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
    // The answer may be of a moment before or after what was last heard: there are others.
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
      // The sums come again with the next; those users may be found again, or are not.
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

// A shadow under way in this process: who is in it, which of their answers wait, and what has been found so far.

export interface ShadowedRollout {
  readonly id: string;
  readonly predictor: string;
  readonly candidateVersionId: string;
  readonly line: ShadowLine;
  readonly tally: ShadowTally;
  /** Whether the user's answers are shadowed: whole users, by their bucket. */
  has(userId: string): boolean;
}

/** Undefined where the rollout is no shadow, or has no candidate. */
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

/** Whether the rollout is still what Postgres last said of its predictor. */
function isUnderWay({ id }: Pick<ShadowedRollout, 'id'>, assignments: Assignments | undefined): boolean {
  return assignments?.rollout?.id === id;
}

/**
 * Returns whether the stable arm serves the user of an answer beside a shadow, and the user was not assigned by hand.
 */
function isBesideShadow({ rollout }: Answer): boolean {
  return rollout !== null && rollout.kind === 'shadow' && !rollout.overridden;
}
