/**
 * Decides the verdict on a step of a rollout. It holds if there is too little evidence or the sample is broken. It
 * rolls back if a guardrail is proven worse, and promotes if all are proven not to be worse. All tests are sequential,
 * so callers may ask for the verdict every minute. A harmless version is rolled back with a probability of at most
 * alpha, over all looks, guardrails, arms and steps.
 */
import { type Alphas, listed } from './evidence.ts';
import { checkOutcome } from './outcome-check.ts';
import type {
  ArmFigures,
  Check,
  Judgement,
  JudgingRules,
  RolloutFigures,
  Verdict,
  VerdictReason,
} from './rollout-figures.ts';
import { checkSampleRatio, checkSources, checkTraffic, checkUsers } from './sample-checks.ts';
import { checkShare, type ShareGuardrail } from './share-check.ts';
import { checkShift } from './shift-check.ts';

/**
 * Checks that fail if the service does not work. They roll back even with a broken sample, since the failure may be its
 * cause.
 */
const OPERATIONAL: ReadonlySet<string> = new Set(['errorRate', 'slowShare', 'staleShare', 'defaultShare']);

export function judgeRollout(figures: RolloutFigures, rules: JudgingRules): Judgement {
  const judgement = judgeStep(figures, rules);
  const { holdDeadlineMs, onDeadline } = rules;
  const isOverdue = holdDeadlineMs != null && figures.elapsedMs >= holdDeadlineMs;
  if (judgement.verdict !== 'hold' || !isOverdue) return judgement;
  const why = `the verdict is still hold after the deadline of ${Math.round(holdDeadlineMs / 1_000)} s: ${judgement.why}`;
  if (onDeadline !== 'roll_back') return { ...judgement, why };
  return judged('roll_back', 'hold_deadline', why, judgement.checks);
}

function judgeStep(figures: RolloutFigures, rules: JudgingRules): Judgement {
  const traffic = checkTraffic(figures);
  if (traffic.state === 'fail') return judged('hold', 'no_traffic', traffic.why, [traffic]);
  const users = checkUsers(figures, rules.minUsers);
  if (users.state === 'fail') return judged('hold', 'too_few_users', users.why, [traffic, users]);

  const sampleRatio = checkSampleRatio(figures);
  const sources = checkSources(figures, rules);
  const duration = checkDuration(figures, rules);
  const compared = figures.arms.flatMap((arm) => comparisons(figures, arm, rules));
  const checks = [traffic, users, sampleRatio, sources, ...compared, duration];
  const guardrails = compared.filter((check) => check.guardrail);
  const worse = guardrails.filter((check) => check.state === 'fail');
  const unsettled = guardrails.filter((check) => check.state === 'inconclusive');

  if (sampleRatio.state === 'fail') {
    const broken = worse.filter((check) => OPERATIONAL.has(check.name));
    if (broken.length === 0) return judged('hold', 'sample_ratio', sampleRatio.why, checks);
    return judged('roll_back', 'guardrail_worse', whyOf(broken), checks);
  }
  if (worse.length > 0) return judged('roll_back', 'guardrail_worse', whyOf(worse), checks);
  if (sources.state === 'fail') return judged('hold', 'sources_differ', sources.why, checks);
  if (unsettled.length > 0) return judged('hold', 'inconclusive', whyOf(unsettled), checks);
  if (duration.state !== 'pass') return judged('hold', 'step_too_short', duration.why, checks);
  return judged(
    'promote',
    'not_worse',
    'no guardrail shows the candidate worse than stable by more than its margin',
    checks,
  );
}

/** Compares one arm with stable: guardrails, and outcomes that are only reported. */
function comparisons(figures: RolloutFigures, arm: ArmFigures, rules: JudgingRules): Check[] {
  const { stable } = figures;
  const shares = shareGuardrails(rules);
  const { psi } = rules.guardrails;
  const deciding = rules.outcomes.filter((outcome) => outcome.guardrail).length;
  const tests = (shares.length + (psi === null ? 0 : 1) + deciding) * figures.arms.length * Math.max(1, figures.steps);
  const alphas: Alphas = { worse: rules.alpha / Math.max(1, tests), notWorse: rules.alpha };
  return [
    ...shares.map((guardrail) => checkShare(guardrail, stable, arm, alphas)),
    checkShift(psi, stable, arm, alphas),
    ...rules.outcomes.map((rule) => checkOutcome(rule, rules.minUsers, stable, arm, alphas)),
  ];
}

function shareGuardrails({ guardrails }: JudgingRules): ShareGuardrail[] {
  const some = (name: string, words: string, margin: number | null | undefined, count: ShareGuardrail['count']) =>
    margin == null ? [] : [{ name, words, margin, count }];
  return [
    ...some('errorRate', 'reads without a prediction', guardrails.errorRate, (arm) => arm.errors),
    ...some('slowShare', 'slow reads', guardrails.slowShare, (arm) => arm.slow),
    ...some('liveShare', 'reads inferred live', guardrails.liveShare, (arm) => arm.sources.live ?? 0),
    ...some('staleShare', 'stale answers', guardrails.staleShare, (arm) => arm.sources.stale ?? 0),
    ...some('defaultShare', 'default answers', guardrails.defaultShare, (arm) => arm.sources.default ?? 0),
  ];
}

function checkDuration({ elapsedMs }: RolloutFigures, { minStepMs }: JudgingRules): Check {
  const long = elapsedMs >= minStepMs;
  const why = `the step has lasted ${Math.round(elapsedMs / 1_000)} s; the minimum is ${Math.round(minStepMs / 1_000)} s`;
  const figures = { users: {}, values: { elapsedMs, minStepMs } };
  return { name: 'duration', arm: null, guardrail: false, state: long ? 'pass' : 'inconclusive', figures, why };
}

function whyOf(checks: readonly Check[]): string {
  return listed(checks.map((check) => check.why));
}

function judged(verdict: Verdict, reason: VerdictReason, why: string, checks: readonly Check[]): Judgement {
  return { verdict, reason, why, checks };
}
