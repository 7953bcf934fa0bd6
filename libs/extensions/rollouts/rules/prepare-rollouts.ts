/**
 * Starts rollouts that are prepared: every live API process has loaded their model versions, and their required
 * generations exist. Every worker checks every few seconds. Until then the rollout's reason says what it waits for.
 * Starting a rollout twice has no further effect. A rollout that is still preparing after its deadline is reported or
 * aborted, as its plan says.
 */

import type { Rollout, RolloutArm } from '@tandem/freshness/rollout';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import { isFinished, type Run } from '@tandem/prediction/runs/runs';
import { analysisOf } from './rollout-figures.ts';
import { type ActiveRollout, type FailedRollout, orFailed, type RolloutStore } from './rollout-store.ts';
import { computeArm, type StartRolloutDependencies, uncomputed } from './start-rollout.ts';

export interface PrepareRolloutsDependencies extends Pick<StartRolloutDependencies, 'hints'> {
  readonly rollouts: Pick<RolloutStore, 'active' | 'begin' | 'note' | 'abort'>;
  readonly runs: Pick<RunStore, 'create' | 'list'>;
  /** Returns why these model versions may not be served yet, as sentences that name processes; empty if they may. */
  whyNotServed(modelVersionIds: readonly string[]): Promise<readonly string[]>;
}

/** How many of a predictor's latest runs are searched for the newest run of an arm. */
const RUNS = 50;

/** Runs a round. Rejects if the rollouts cannot be listed. */
export async function prepareRollouts(dependencies: PrepareRolloutsDependencies) {
  const begun: Rollout[] = [];
  /** Rollouts that wait, with the reasons. */
  const waiting: { rollout: Rollout; why: readonly string[] }[] = [];
  /** Rollouts that were aborted because they were not prepared by their deadline. */
  const aborted: Rollout[] = [];
  const failed: FailedRollout[] = [];
  for (const rollout of await dependencies.rollouts.active()) {
    if (rollout.state !== 'preparing') continue;
    const prepared = await orFailed(rollout, failed, () => prepare(dependencies, rollout));
    if (prepared?.begun) begun.push(prepared.begun);
    else if (prepared?.aborted) aborted.push(prepared.aborted);
    else if (prepared) waiting.push({ rollout, why: prepared.why });
  }
  return { begun, waiting, aborted, failed };
}

/** Begins a rollout, or aborts it, or returns the reasons for waiting. */
async function prepare(dependencies: PrepareRolloutsDependencies, rollout: ActiveRollout) {
  const { rollouts } = dependencies;
  const why = await whyNotYet(dependencies, rollout);
  if (why.length === 0) {
    const change = {
      actor: 'tandem',
      reason: rollout.kind === 'shadow' ? 'its answers are compared' : 'every process has loaded its model versions',
    };
    return { begun: await rollouts.begin(rollout.id, change), why };
  }
  const deadline = overdueOf(rollout);
  const late = deadline ? `preparation exceeded its deadline of ${Math.round(deadline.ms / 1_000)} s; ` : '';
  const reason = `${late}waits: ${why.join('; ')}`;
  if (deadline?.rollsBack) return { aborted: await rollouts.abort(rollout.id, { actor: 'tandem', reason }), why };
  if (reason !== rollout.reason) await rollouts.note(rollout.id, reason);
  return { why };
}

/** Returns the deadline that a rollout has missed, and whether to abort it; null if it has missed none. */
function overdueOf(rollout: ActiveRollout): { readonly ms: number; readonly rollsBack: boolean } | null {
  const analysis = analysisOf(rollout);
  const ms = analysis?.preparingDeadlineMs;
  if (!analysis || ms == null || rollout.phaseMs < ms) return null;
  const { automatic, dryRun, onDeadline } = analysis;
  return { ms, rollsBack: onDeadline === 'roll_back' && automatic && !dryRun };
}

async function whyNotYet(dependencies: PrepareRolloutsDependencies, rollout: Rollout): Promise<readonly string[]> {
  // A shadow serves no users, so it does not wait: each process loads the version where it runs the shadow.
  if (rollout.plan.kind === 'shadow') return [];
  const uncovered: string[] = [];
  for (const arm of uncomputed(rollout)) uncovered.push(...(await whyUncovered(dependencies, rollout, arm)));
  const needsAll = rollout.plan.coverage === 'required';
  const unserved = await dependencies.whyNotServed(rollout.arms.map(({ modelVersionId }) => modelVersionId));
  return needsAll ? [...uncovered, ...unserved] : unserved;
}

/**
 * Returns why an arm has no generation yet. Requests its run if none was requested since the rollout was created, or if
 * the request was lost.
 */
async function whyUncovered(
  dependencies: PrepareRolloutsDependencies,
  rollout: Rollout,
  arm: RolloutArm,
): Promise<readonly string[]> {
  const runs = await dependencies.runs.list({ predictor: rollout.predictor, limit: RUNS });
  const newest = runs.find(
    (run) => run.scope === 'all' && run.modelVersionId === arm.modelVersionId && run.createdAt >= rollout.createdAt,
  );
  const run = newest ?? (await computeArm(dependencies, rollout, arm));
  if (run === 'never') return [];
  const what = `model version ${arm.modelNumber} has no generation yet`;
  return [run ? `${what}, ${progressOf(run, arm.name)}` : what];
}

function progressOf(run: Run, arm: string): string {
  if (!isFinished(run.state)) return `run ${run.id} has scored ${run.usersScored} of ${run.usersExpected} users`;
  const why = run.error === null ? '' : ` (${run.error})`;
  return `run ${run.id} is ${run.state}${why}: start another run with tandem run start ${run.predictor} --variant ${arm}`;
}
