/**
 * Judges the rollouts that are under way, each as often as its plan says, and acts on the verdict where the plan lets it: a
 * canary goes to its next step, or what is proven worse is taken back. Every worker looks; one judges. What was found is
 * carried into the audit by the act, then written down with whether that moved anything: somebody else may have been faster.
 */
import { judgeRollout } from '@tandem/experiment/verdict/judge-rollout';
import type { Judgement, Verdict } from '@tandem/experiment/verdict/rollout-figures';
import { isTandemError } from '@tandem/freshness/errors';
import type { AnalysisPlan, Rollout } from '@tandem/freshness/rollout';
import { analysisOf, judgedFiguresOf, rulesOf, type StepRecord } from './rollout-figures.ts';
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
  record(rolloutId: string): Promise<StepRecord>;
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

/** Rejects where the rollouts cannot be listed; what was not judged is due again. */
export async function analyseRollouts(dependencies: AnalyseRolloutsDependencies): Promise<AnalysisReport> {
  const analysed: Analysed[] = [];
  const failed: FailedRollout[] = [];
  for (const rollout of await dependencies.rollouts.active()) {
    const analysis = analysisOf(rollout);
    if (!analysis || rollout.state === 'preparing') continue;
    const check = await orFailed(rollout, failed, () => look(dependencies, rollout, analysis));
    if (check) analysed.push({ rollout, check });
  }
  return { analysed, failed };
}

/** Undefined: somebody else has judged it lately. */
async function look(
  dependencies: AnalyseRolloutsDependencies,
  rollout: Rollout,
  analysis: AnalysisPlan,
): Promise<RolloutCheck | undefined> {
  const { rollouts, checks } = dependencies;
  if (!(await checks.claim(rollout.id, analysis.intervalMs))) return undefined;
  const figures = judgedFiguresOf(rollout, analysis, await checks.record(rollout.id));
  const judgement = judgeRollout(figures, rulesOf(rollout, analysis));
  const act = actOf(rollout, analysis, judgement);
  const applied = act !== null && (await perform(act, dependencies));
  const check = { step: rollout.step, verdict: judgement.verdict, applied, judgement };
  await checks.keep(rollout.id, check);
  // Who held it said why.
  if (!act && rollout.state === 'running') await rollouts.note(rollout.id, reasonOf(rollout, analysis, judgement));
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

/** To go on to everybody, an arm must have what it answers from: else all of them would be inferred live. */
function lacksGeneration({ plan, step, arms }: Rollout): boolean {
  const isLast = plan.kind === 'canary' && (plan.steps[step + 1] ?? 100) >= 100;
  return isLast && arms.some(({ generationId }) => generationId === null);
}

function reasonOf(rollout: Rollout, { automatic, dryRun }: AnalysisPlan, { verdict, why }: Judgement): string {
  if (verdict === 'promote' && lacksGeneration(rollout)) return `waits for its generation: ${why}`;
  const would =
    verdict !== 'hold' && (dryRun || !automatic) ? `would ${verdict === 'promote' ? 'go on' : 'be taken back'}: ` : '';
  return `${would}${why}`;
}
