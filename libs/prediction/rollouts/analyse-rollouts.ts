/**
 * Judges active rollouts, each at the interval of its plan, and acts on the verdict if the plan allows it: a canary
 * advances one step, or a version that is proven worse is aborted. Every worker looks; one of them judges. The action
 * writes the findings into the audit. Then the look is recorded with whether it moved the rollout: another process may
 * have moved it first.
 *
 * A look has two parts. Errors and times of all rollouts are judged first, and a broken guardrail aborts at once.
 * Outcomes follow, which take longer. If a part fails, the rollout holds and its reason says why.
 */
import { judgeRollout } from '@tandem/experiment/verdict/judge-rollout';
import type { Judgement, Verdict } from '@tandem/experiment/verdict/rollout-figures';
import { isTandemError } from '@tandem/freshness/errors';
import type { AnalysisPlan, OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import type { OutcomeStatistics } from './outcomes.ts';
import { analysisOf, judgedFiguresOf, rulesOf, type ServedRecord } from './rollout-figures.ts';
import { type FailedRollout, orFailed, type RolloutStore } from './rollout-store.ts';

/** The findings of one look. */
export interface RolloutCheck {
  readonly step: number;
  readonly verdict: Verdict;
  /** Whether it moved anything. */
  readonly applied: boolean;
  readonly judgement: Judgement;
}

/** Port to the looks at rollouts. */
export interface RolloutChecks {
  /** Returns whether this caller may judge now: no process has judged for `intervalMs`. */
  claim(rolloutId: string, intervalMs: number): Promise<boolean>;
  /** Returns the reads served by the rollout's current step. */
  served(rollout: Rollout): Promise<ServedRecord>;
  /** Continues counting outcomes for this long, at least for one slice of the users; returns the counts so far. */
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

/** The result of one round; if one rollout fails, the others are judged all the same. */
interface AnalysisReport {
  readonly analysed: readonly Analysed[];
  readonly failed: readonly FailedRollout[];
}

/** Milliseconds for the outcomes of all rollouts in one round, so that errors are soon checked again. */
const OUTCOMES_MS = 30_000;
/** The share of it for one rollout. */
const OUTCOMES_OF_ONE_MS = 10_000;

/** A look whose first part found nothing broken. */
interface Look {
  readonly rollout: Rollout;
  readonly analysis: AnalysisPlan;
  readonly served: ServedRecord;
}

/** Rejects where the rollouts cannot be listed; what was not judged is due again. */
export async function analyseRollouts(dependencies: AnalyseRolloutsDependencies): Promise<AnalysisReport> {
  const { rollouts, checks } = dependencies;
  const analysed: Analysed[] = [];
  const failed: FailedRollout[] = [];
  const looks: Look[] = [];
  /** Judges and concludes; a look whose `work` fails holds. */
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

/** Holds the rollout; undefined if it no longer exists. */
function failedLook(rollout: Rollout, error: unknown, failed: FailedRollout[]): Judgement | undefined {
  if (isTandemError(error, 'unknown_rollout')) return undefined;
  failed.push({ rollout, error });
  const why = `the last look failed, and nothing moves before one succeeds: ${error instanceof Error ? error.message : String(error)}`;
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
  // The reason of the hold stays.
  if (!act && rollout.state === 'running') {
    await dependencies.rollouts.note(rollout.id, reasonOf(rollout, analysis, judgement));
  }
  return check;
}

/** Whether it could be done; not where the rollout is over by now. */
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

/** Returns the action of a verdict; null: none. People end an A/B test, unless it does harm. */
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
 * Before promotion, an arm needs its generation: otherwise all users would be inferred live. An arm that only infers
 * live never has one.
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
