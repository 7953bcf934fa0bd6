/**
 * Judges the rollouts that are under way, each as often as its plan says, and acts on the verdict where the plan lets it: a
 * canary goes to its next step, or what is proven worse is taken back. Every worker looks; one judges. What was found is
 * carried into the audit by the act, then written down with whether that moved anything: somebody else may have been faster.
 *
 * A look has two parts. The errors and times of all rollouts are judged first: what they break is taken back at once. Then
 * come outcomes, which take longer. A part that fails moves nothing: the rollout holds, and says why.
 */
import { judgeRollout } from '@tandem/experiment/verdict/judge-rollout';
import type { Judgement, Verdict } from '@tandem/experiment/verdict/rollout-figures';
import { isTandemError } from '@tandem/freshness/errors';
import type { AnalysisPlan, OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import type { OutcomeStatistics } from './outcomes.ts';
import { analysisOf, judgedFiguresOf, rulesOf, type ServedRecord } from './rollout-figures.ts';
import { type FailedRollout, orFailed, type RolloutStore } from './rollout-store.ts';

/** What one look found. */
export interface RolloutCheck {
  readonly step: number;
  readonly verdict: Verdict;
  /** Whether it moved anything. */
  readonly applied: boolean;
  readonly judgement: Judgement;
}

/** Port to the looks at rollouts. */
export interface RolloutChecks {
  /** Whether this caller is the one to judge now: nobody has for `intervalMs`. */
  claim(rolloutId: string, intervalMs: number): Promise<boolean>;
  /** What the step that the rollout is in has served. */
  served(rollout: Rollout): Promise<ServedRecord>;
  /** Goes on counting outcomes for so long, at least for one slice of the users; tells what has been counted. */
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

/** What one round did; where one rollout fails, the others are judged all the same. */
interface AnalysisReport {
  readonly analysed: readonly Analysed[];
  readonly failed: readonly FailedRollout[];
}

/** Milliseconds for the outcomes of all rollouts in one round, so that errors are soon looked at again. */
const OUTCOMES_MS = 30_000;
/** Of these, for one rollout at most. */
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

/** Holds; undefined where the rollout is not there any more. */
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
  // Who held it said why.
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

/** What follows from a verdict; null: nothing. An A/B test is ended by people, unless it does harm. */
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
 * To go on to everybody, an arm must have what it answers from: else all of them would be inferred live. An arm that only
 * infers live never has a generation.
 */
function lacksGeneration({ plan, step, arms }: Rollout): boolean {
  const isLast = plan.kind === 'canary' && (plan.steps[step + 1] ?? 100) >= 100;
  return isLast && arms.some(({ generationId, isLiveOnly }) => generationId === null && !isLiveOnly);
}

function reasonOf(rollout: Rollout, { automatic, dryRun }: AnalysisPlan, { verdict, why }: Judgement): string {
  if (verdict === 'promote' && lacksGeneration(rollout)) return `waits for its generation: ${why}`;
  const would =
    verdict !== 'hold' && (dryRun || !automatic) ? `would ${verdict === 'promote' ? 'go on' : 'be taken back'}: ` : '';
  return `${would}${why}`;
}
