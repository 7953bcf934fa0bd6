/**
 * The shadow: a candidate model version computes answers for users that were served, and both answers are compared.
 * Reads do not wait for it. Served answers are queued after the reply, in a bounded queue. The candidate's answers are
 * computed in batches, one pass at a time, with a separate scorer and separate connections (shadow-passes.ts). Answers
 * beyond the shadow's rate or its share of a processor are dropped and counted.
 */

import type { Answer } from '@tandem/freshness/answer';
import { BUCKETS } from '@tandem/freshness/assignment';
import type { AssignedRollout, Assignments } from '@tandem/freshness/certificate';
import { type CpuBudget, createCpuBudget } from '@tandem/prediction/scoring/cpu-budget';
import { type Repeating, repeat } from '@tandem/timing/repeat';
import { createShadowLine, type ShadowLine } from './shadow-line.ts';
import { ShadowPasses, type ShadowPassesDependencies } from './shadow-passes.ts';
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

/** The share of one processor, which is enough for a thousand users of most models within seconds. */
const CPU_SHARE = 0.25;
const KEEP_EVERY_MS = 5_000;
/** The time without work after which the shadow's processes are ended. */
const IDLE_MS = 60_000;

/** The shadows of one process. */
export class Shadow {
  readonly #dependencies: ShadowDependencies;
  readonly #now: () => number;
  readonly #budget: CpuBudget;
  /** Shadowed rollouts by predictor. The predictor of the last turn comes last. */
  readonly #shadowed = new Map<string, ShadowedRollout>();
  /** Finished rollouts, until their last sums are stored. */
  readonly #over = new Set<ShadowedRollout>();
  readonly #passes: ShadowPasses;
  readonly #keeping: Repeating;
  #isClosed = false;

  constructor(dependencies: ShadowDependencies) {
    const { keepEveryMs = KEEP_EVERY_MS, now = () => performance.now() } = dependencies;
    const budget = createCpuBudget(CPU_SHARE, now);
    this.#dependencies = dependencies;
    this.#now = now;
    this.#budget = budget;
    this.#passes = new ShadowPasses({ ...dependencies, budget, next: () => this.#next(), now });
    // The loop runs in every process. A round without a shadow does nothing.
    this.#keeping = repeat(keepEveryMs, () => this.#keepAll());
  }

  /** Queues a served answer if its user is shadowed. Never throws and never waits. */
  notice(answer: Answer): void {
    if (!isBesideShadow(answer) || this.#isClosed) return;
    const one = this.#find(answer);
    if (!one?.has(answer.userId)) return;
    const outcome = one.line.add(answer);
    if (outcome === 'waits') {
      this.#passes.schedule();
      return;
    }
    one.tally.count(outcome);
    this.#dependencies.observer.counted(one.predictor, outcome, 1);
  }

  /** Returns the number of waiting answers. */
  waiting(): number {
    return [...this.#shadowed.values()].reduce((sum, { line }) => sum + line.size, 0);
  }

  /** Ends the current pass and stores the sums. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#passes.stop();
    await this.#keeping.stop();
    await this.#keepAll();
  }

  #next(): ShadowedRollout | undefined {
    const one = [...this.#shadowed.values()].find(({ line }) => line.size > 0);
    if (!one) return undefined;
    this.#shadowed.delete(one.predictor);
    this.#shadowed.set(one.predictor, one);
    return one;
  }

  #find({ predictor, rollout }: Answer): ShadowedRollout | undefined {
    const known = this.#shadowed.get(predictor);
    if (known?.id === rollout?.id) return known;
    const assigned = this.#dependencies.assignments(predictor)?.rollout;
    // The answer may belong to an earlier or later assignment than the last known one. It is then skipped; others will
    // follow.
    if (!assigned || assigned.id !== rollout?.id) return undefined;
    const made = shadowedBy(predictor, assigned, this.#budget, this.#now);
    if (!made) return undefined;
    if (known) this.#over.add(known);
    this.#shadowed.set(predictor, made);
    this.#dependencies.observer.began(predictor, made.id);
    return made;
  }

  async #keepOne(one: ShadowedRollout): Promise<void> {
    const { store, processId, observer } = this.#dependencies;
    const { id: rolloutId, tally } = one;
    const movers = tally.takeMovers();
    try {
      tally.raiseFloor(await store.keep({ rolloutId, processId, rows: tally.rows(), movers }));
      if (this.#over.delete(one)) observer.ended(one.predictor, rolloutId, tally.outcomes());
    } catch (error) {
      // The next write repeats the sums. The lost users with the largest changes may be found again.
      observer.notKept(rolloutId, error);
    }
  }

  async #keepAll(): Promise<void> {
    for (const one of [...this.#shadowed.values()]) {
      if (isUnderWay(one, this.#dependencies.assignments(one.predictor)) || this.#passes.isOf(one)) continue;
      this.#shadowed.delete(one.predictor);
      this.#over.add(one);
    }
    for (const one of [...this.#over, ...this.#shadowed.values()]) await this.#keepOne(one);
    // A failed remainder is retried in the next round.
    await this.#passes.restAfter(this.#shadowed.size === 0 ? 0 : IDLE_MS).catch(() => {});
  }
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
