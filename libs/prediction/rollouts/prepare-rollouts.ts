/**
 * Begins the rollouts whose arms may be served: every process that answers has loaded their model versions, and what they
 * are to have computed ahead of time is there. Every worker looks every few seconds; until then a rollout says what it
 * waits for. A rollout that was begun twice has begun once.
 */
import type { RunStore } from '../runs/run-store.ts';
import { isFinished, type Run } from '../runs/runs.ts';
import { type FailedRollout, orFailed } from './failed-rollouts.ts';
import type { Rollout, RolloutArm } from './rollout.ts';
import type { RolloutStore } from './rollout-store.ts';
import { computeArm, type StartRolloutDependencies, uncomputed } from './start-rollout.ts';

export interface PrepareRolloutsDependencies extends Pick<StartRolloutDependencies, 'hints'> {
  readonly rollouts: Pick<RolloutStore, 'active' | 'begin' | 'note'>;
  readonly runs: Pick<RunStore, 'create' | 'list'>;
  /** Why these model versions may not be served yet, as sentences that name processes; none where they may. */
  whyNotServed(modelVersionIds: readonly string[]): Promise<readonly string[]>;
}

export interface PreparationReport {
  readonly begun: readonly Rollout[];
  /** Those that wait, with what they wait for. */
  readonly waiting: readonly { readonly rollout: Rollout; readonly why: readonly string[] }[];
  readonly failed: readonly FailedRollout[];
}

/** Runs of a predictor that are looked through for the newest of an arm. */
const RUNS = 50;

/** Rejects where the rollouts cannot be listed. */
export async function prepareRollouts(dependencies: PrepareRolloutsDependencies): Promise<PreparationReport> {
  const begun: Rollout[] = [];
  const waiting: { rollout: Rollout; why: readonly string[] }[] = [];
  const failed: FailedRollout[] = [];
  for (const rollout of await dependencies.rollouts.active()) {
    if (rollout.state !== 'preparing') continue;
    const prepared = await orFailed(rollout, failed, () => prepare(dependencies, rollout));
    if (prepared?.begun) begun.push(prepared.begun);
    else if (prepared) waiting.push({ rollout, why: prepared.why });
  }
  return { begun, waiting, failed };
}

async function prepare(
  dependencies: PrepareRolloutsDependencies,
  rollout: Rollout,
): Promise<{ readonly begun: Rollout | null; readonly why: readonly string[] }> {
  const { rollouts } = dependencies;
  const why = await whyNotYet(dependencies, rollout);
  if (why.length === 0) {
    const change = {
      actor: 'tandem',
      reason: rollout.kind === 'shadow' ? 'its answers are compared' : 'every process has loaded its model versions',
    };
    return { begun: await rollouts.begin(rollout.id, change), why };
  }
  const reason = `waits: ${why.join('; ')}`;
  if (reason !== rollout.reason) await rollouts.note(rollout.id, reason);
  return { begun: null, why };
}

async function whyNotYet(dependencies: PrepareRolloutsDependencies, rollout: Rollout): Promise<readonly string[]> {
  // Nobody is served by a shadow: it is loaded where it runs, by itself.
  if (rollout.plan.kind === 'shadow') return [];
  const uncovered: string[] = [];
  for (const arm of uncomputed(rollout)) uncovered.push(await whyUncovered(dependencies, rollout, arm));
  const needsAll = rollout.plan.coverage === 'required';
  const unserved = await dependencies.whyNotServed(rollout.arms.map(({ modelVersionId }) => modelVersionId));
  return needsAll ? [...uncovered, ...unserved] : unserved;
}

/** Asks for the run of an arm that nobody has asked for since the rollout was made, or that was lost in between. */
async function whyUncovered(
  dependencies: PrepareRolloutsDependencies,
  rollout: Rollout,
  arm: RolloutArm,
): Promise<string> {
  const runs = await dependencies.runs.list({ predictor: rollout.predictor, limit: RUNS });
  const newest = runs.find(
    (run) => run.scope === 'all' && run.modelVersionId === arm.modelVersionId && run.createdAt >= rollout.createdAt,
  );
  const run = newest ?? (await computeArm(dependencies, rollout, arm));
  const what = `model version ${arm.modelNumber} has no generation yet`;
  return run ? `${what}, ${progressOf(run, arm.name)}` : what;
}

function progressOf(run: Run, arm: string): string {
  if (!isFinished(run.state)) return `run ${run.id} has scored ${run.usersScored} of ${run.usersExpected} users`;
  const why = run.error === null ? '' : ` (${run.error})`;
  return `run ${run.id} is ${run.state}${why}: tandem run start ${run.predictor} --variant ${arm} makes another`;
}
