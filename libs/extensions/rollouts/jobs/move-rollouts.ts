/** The worker's round of rollouts: begins those that are prepared, and judges those that run. */
import type { Round, RoundReport, WorkerHost } from '@tandem/extension/extension';
import type { Log } from '@tandem/telemetry/log';
import { type Analysed, type AnalyseRolloutsDependencies, analyseRollouts } from '../rules/analyse-rollouts.ts';
import { withConfirmedMoves } from '../rules/confirmed-moves.ts';
import { type PrepareRolloutsDependencies, prepareRollouts } from '../rules/prepare-rollouts.ts';
import { createRolloutChecks } from '../statements/rollout-checks.ts';
import { createRolloutStore } from '../statements/rollouts.ts';

const EVERY_MS = 1_000;

export function rolloutRound(host: WorkerHost): Round {
  const rolling = openRolling(host);
  return { name: 'rollouts', everyMs: EVERY_MS, run: () => moveRollouts(rolling, host.log) };
}

/** Opens the dependencies of a round. */
export function openRolling({ pool, confirming, ...host }: Omit<WorkerHost, 'log'>) {
  const rollouts = withConfirmedMoves(createRolloutStore(pool), confirming);
  return { ...host, rollouts, checks: createRolloutChecks(pool) };
}

type Rolling = PrepareRolloutsDependencies & AnalyseRolloutsDependencies;

async function moveRollouts(rolling: Rolling, log: Log): Promise<RoundReport> {
  const { begun, aborted, failed: unprepared } = await prepareRollouts(rolling);
  for (const { id, predictor, kind } of begun) log.info('rollout.begun', { rolloutId: id, predictor, kind });
  for (const { id, predictor, kind, reason: why } of aborted) {
    log.warn('rollout.taken_back', { rolloutId: id, predictor, kind, reason: 'preparing_deadline', why });
  }
  const { analysed, failed: unjudged } = await analyseRollouts(rolling);
  for (const one of analysed) tellJudged(one, log);
  const moved = analysed.filter(({ check }) => check.applied).length;
  const errors = [...unprepared, ...unjudged].map(({ rollout, error }) => `${rollout.predictor}: ${describe(error)}`);
  return { done: { rolloutsBegun: begun.length, rolloutsMoved: moved + aborted.length }, errors };
}

function tellJudged({ rollout, check }: Analysed, log: Log): void {
  const { verdict, applied, step, judgement } = check;
  const { id, predictor, kind } = rollout;
  const { reason, why } = judgement;
  const facts = { rolloutId: id, predictor, kind, step, verdict, applied, reason, why };
  if (reason === 'look_failed') log.warn('rollout.look_failed', facts);
  else log.info('rollout.judged', facts);
  // A separate event, so that alerts can distinguish a failed look from a verdict that moves nothing.
  if (applied && verdict === 'roll_back') log.warn('rollout.taken_back', facts);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
