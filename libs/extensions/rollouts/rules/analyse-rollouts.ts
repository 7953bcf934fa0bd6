/**
 * Judges active rollouts at the interval of their plans. If the plan allows it, acts on the verdict: a canary advances
 * one step, or the rollout of a version that is proven worse is aborted. Every worker checks, but only one judges a
 * look. The action writes the findings to the audit. Then the look is recorded, with whether it moved the rollout,
 * since another process may have moved it first.
 *
 * A look has two parts. Errors and times of all rollouts are judged first, and a broken guardrail aborts immediately.
 * Outcomes follow, since they take longer. If a part fails, the rollout holds and its reason names the error.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { AnalysisPlan, OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import { judgeRollout } from '../verdict/judge-rollout.ts';
import type { Judgement, Verdict } from '../verdict/rollout-figures.ts';
import type { OutcomeStatistics } from './outcomes.ts';
import { analysisOf, judgedFiguresOf, rulesOf, type ServedRecord } from './rollout-figures.ts';
import { type FailedRollout, orFailed, type RolloutStore } from './rollout-store.ts';

/** The findings of one look. */
export interface RolloutCheck {
  readonly step: number;
  readonly verdict: Verdict;
  /** Whether the look moved the rollout. */
  readonly applied: boolean;
  readonly judgement: Judgement;
}

/** Port: the looks at rollouts. */
export interface RolloutChecks {
  /** Claims the next look. Returns whether this caller may judge: no process has judged for `intervalMs`. */
  claim(rolloutId: string, intervalMs: number): Promise<boolean>;
  /** Returns the reads served by the rollout's current step. */
  served(rollout: Rollout): Promise<ServedRecord>;
  /** Continues counting outcomes for this long, at least for one slice of the users. Returns the counts so far. */
  outcomes(rollout: Rollout, metrics: readonly OutcomeMetric[], budgetMs: number): Promise<OutcomeStatistics>;
  keep(rolloutId: string, check: RolloutCheck): Promise<void>;
}

export interface AnalyseRolloutsDependencies {
  readonly rollouts: Pick<RolloutStore, 'active' | 'advance' | 'abort' | 'note'>;
  readonly checks: RolloutChecks;
}

export interface Analysed {
  readonly rollout: Rollout;
  readonly check: RolloutCheck;
}

const ACTOR = 'analysis';

/** The milliseconds for the outcomes of all rollouts in a round. It is short, so that errors are soon checked again. */
const OUTCOMES_MS = 30_000;
/** The milliseconds for the outcomes of one rollout in a round. */
const OUTCOMES_OF_ONE_MS = 10_000;

/** A look whose first part found no broken guardrail. */
interface Look {
  readonly rollout: Rollout;
  readonly analysis: AnalysisPlan;
  readonly served: ServedRecord;
}

/**
 * Runs a round of looks. If a rollout fails, the others are still judged. Rejects if the rollouts cannot be listed; the
 * next round then repeats the looks.
 */
export async function analyseRollouts(dependencies: AnalyseRolloutsDependencies) {
  const { rollouts, checks } = dependencies;
  const analysed: Analysed[] = [];
  const failed: FailedRollout[] = [];
  const looks: Look[] = [];
  /** Judges a look and concludes it. If `work` fails, the rollout holds. */
  const judge = async (rollout: Rollout, analysis: AnalysisPlan, work: () => Promise<Judgement | undefined>) => {
    const judgement = await work().catch((error: unknown) => failedLook(rollout, error, failed));
    if (!judgement) return;
    const check = await orFailed(rollout, failed, () => conclude(dependencies, rollout, analysis, judgement));
    if (check) analysed.push({ rollout, check });
  };
  for (const rollout of await rollouts.active()) {
    const analysis = analysisOf(rollout);
    if (!analysis || rollout.state === 'preparing') continue;
    if (!(await orFailed(rollout, failed, () => checks.claim(rollout.id, analysis.intervalMs)))) continue;
    await judge(rollout, analysis, async () => {
      const served = await checks.served(rollout);
      const judgement = judgementOf({ rollout, analysis, served }, { arms: [], asOf: null });
      if (analysis.outcomes.length === 0 || judgement.reason === 'guardrail_worse') return judgement;
      looks.push({ rollout, analysis, served });
      return undefined;
    });
  }
  const budgetMs = Math.min(OUTCOMES_OF_ONE_MS, OUTCOMES_MS / looks.length);
  for (const look of looks) {
    const { rollout, analysis } = look;
    await judge(rollout, analysis, async () =>
      judgementOf(look, await checks.outcomes(rollout, analysis.outcomes, budgetMs)),
    );
  }
  return { analysed, failed };
}

function judgementOf({ rollout, analysis, served }: Look, outcomes: OutcomeStatistics): Judgement {
  return judgeRollout(judgedFiguresOf(rollout, analysis, { ...served, outcomes }), rulesOf(rollout, analysis));
}

/** Returns a judgement that holds the rollout; undefined if the rollout no longer exists. */
function failedLook(rollout: Rollout, error: unknown, failed: FailedRollout[]): Judgement | undefined {
  if (isTandemError(error, 'unknown_rollout')) return undefined;
  failed.push({ rollout, error });
  const why = `the last look failed, and the rollout holds until a look succeeds: ${error instanceof Error ? error.message : String(error)}`;
  return { verdict: 'hold', reason: 'look_failed', why, checks: [] };
}

async function conclude(
  dependencies: AnalyseRolloutsDependencies,
  rollout: Rollout,
  analysis: AnalysisPlan,
  judgement: Judgement,
): Promise<RolloutCheck> {
  const act = actOf(rollout, analysis, judgement);
  const applied = act !== null && (await perform(act, dependencies));
  const check = { step: rollout.step, verdict: judgement.verdict, applied, judgement };
  await dependencies.checks.keep(rollout.id, check);
  // A held rollout keeps the reason of its hold.
  if (!act && rollout.state === 'running') {
    await dependencies.rollouts.note(rollout.id, reasonOf(rollout, analysis, judgement));
  }
  return check;
}

/** Performs an action. Returns false if the rollout has already moved or ended. */
async function perform(act: Act, dependencies: AnalyseRolloutsDependencies): Promise<boolean> {
  try {
    await act(dependencies);
    return true;
  } catch (error) {
    if (isTandemError(error, 'rollout_conflict')) return false;
    throw error;
  }
}

type Act = (dependencies: AnalyseRolloutsDependencies) => Promise<unknown>;

/**
 * Returns the action of a verdict; null if there is none. Operators end an A/B test; it is aborted automatically only
 * if it does harm.
 */
function actOf(rollout: Rollout, { automatic, dryRun }: AnalysisPlan, judgement: Judgement): Act | null {
  const { id, kind, state, step } = rollout;
  if (!automatic || dryRun) return null;
  const change = {
    actor: ACTOR,
    reason: judgement.why,
    figures: { verdict: judgement.verdict, checks: judgement.checks },
  };
  switch (judgement.verdict) {
    case 'roll_back':
      return ({ rollouts }) => rollouts.abort(id, change);
    case 'promote':
      return kind === 'canary' && state === 'running' && !lacksGeneration(rollout)
        ? ({ rollouts }) => rollouts.advance(id, change, step)
        : null;
    case 'hold':
      return null;
  }
}

/**
 * Returns whether an arm lacks the generation that it needs before promotion: without it all users would be inferred
 * live. An arm that only infers live never has a generation.
 */
function lacksGeneration({ plan, step, arms }: Rollout): boolean {
  const isLast = plan.kind === 'canary' && (plan.steps[step + 1] ?? 100) >= 100;
  return isLast && arms.some(({ generationId, isLiveOnly }) => generationId === null && !isLiveOnly);
}

function reasonOf(rollout: Rollout, { automatic, dryRun }: AnalysisPlan, { verdict, why }: Judgement): string {
  if (verdict === 'promote' && lacksGeneration(rollout)) return `waits for its generation: ${why}`;
  const would =
    verdict !== 'hold' && (dryRun || !automatic) ? `would ${verdict === 'promote' ? 'advance' : 'be aborted'}: ` : '';
  return `${would}${why}`;
}
