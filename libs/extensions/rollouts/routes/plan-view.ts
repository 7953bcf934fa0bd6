/** Converts a rollout's plan between the wire and the domain. */
import { TandemError } from '@tandem/freshness/errors';
import type { AnalysisPlan, OutcomeMetric, RolloutPlan } from '@tandem/freshness/rollout';
import { formatDuration } from '@tandem/wire/durations';
import { type AnalysisView, DEFAULT_STEPS, msOf, type RolloutPlanView } from '../wire/rollout-plan.ts';

export function planOf(view: RolloutPlanView): RolloutPlan {
  switch (view.kind) {
    case 'shadow':
      return { ...view, version: Number(view.version) };
    case 'canary':
      return {
        ...view,
        version: Number(view.version),
        steps: stepsOf(view),
        analysis: analysisOf(view.analysis),
      };
    case 'ab': {
      const arms = view.arms.map((arm) => ({ name: arm.variant, version: Number(arm.version), weight: arm.weight }));
      return { kind: 'ab', arms, coverage: view.coverage, analysis: analysisOf(view.analysis) };
    }
  }
}

/** Converts a plan from the wire. Throws `invalid_input` if a canary has both `atOnce` and `steps`. */
function stepsOf({ steps, atOnce }: Extract<RolloutPlanView, { kind: 'canary' }>): readonly number[] {
  if (!atOnce) return steps ?? DEFAULT_STEPS;
  if (steps === undefined || steps.length === 1) return [100];
  throw new TandemError('invalid_input', 'atOnce skips the steps, but the plan has steps.', {
    field: 'atOnce',
    remedy: 'leave out either atOnce or steps',
  });
}

export function planView(plan: RolloutPlan): RolloutPlanView {
  switch (plan.kind) {
    case 'shadow':
      return { ...plan, version: String(plan.version) };
    case 'canary':
      return {
        ...plan,
        version: String(plan.version),
        steps: [...plan.steps],
        atOnce: plan.atOnce ?? false,
        analysis: analysisView(plan.analysis),
      };
    case 'ab': {
      const arms = plan.arms.map(({ name, version: number, weight }) => ({
        variant: name,
        version: String(number),
        weight,
      }));
      return { kind: 'ab', arms, coverage: plan.coverage, analysis: analysisView(plan.analysis) };
    }
  }
}

function analysisOf(view: AnalysisView): AnalysisPlan {
  const { automatic, dryRun, interval, minStep, minUsers, alpha, holdDeadline, preparingDeadline, onDeadline } = view;
  const { errorRate, slowShare, slow, liveShare, staleShare, defaultShare, psi } = view;
  return {
    automatic,
    dryRun,
    minUsers,
    alpha,
    onDeadline,
    intervalMs: msOf(interval),
    minStepMs: msOf(minStep),
    holdDeadlineMs: holdDeadline === null ? null : msOf(holdDeadline),
    preparingDeadlineMs: preparingDeadline === null ? null : msOf(preparingDeadline),
    guardrails: { errorRate, slowShare, slowMs: msOf(slow), liveShare, staleShare, defaultShare, psi },
    outcomes: view.outcomes.map(({ window, ...rest }) => ({ ...rest, windowMs: msOf(window) })),
  };
}

/** Renders the analysis. A setting that a plan of an earlier release does not have is off. */
function analysisView({ guardrails, outcomes, intervalMs, minStepMs, ...rest }: AnalysisPlan): AnalysisView {
  const { slowMs, staleShare = null, defaultShare = null, ...limits } = guardrails;
  const { holdDeadlineMs = null, preparingDeadlineMs = null, onDeadline = 'alert', ...more } = rest;
  return {
    ...more,
    ...limits,
    staleShare,
    defaultShare,
    onDeadline,
    interval: formatDuration(intervalMs),
    minStep: formatDuration(minStepMs),
    holdDeadline: holdDeadlineMs === null ? null : formatDuration(holdDeadlineMs),
    preparingDeadline: preparingDeadlineMs === null ? null : formatDuration(preparingDeadlineMs),
    slow: formatDuration(slowMs),
    outcomes: outcomes.map(outcomeView),
  };
}

function outcomeView({ windowMs, cap = null, ...rest }: OutcomeMetric) {
  return { ...rest, cap, window: formatDuration(windowMs) };
}
