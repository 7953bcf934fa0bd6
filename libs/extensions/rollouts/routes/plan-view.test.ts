import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RolloutPlanSchema, type RolloutPlanView } from '../wire/rollout-plan.ts';
import { planOf, planView } from './plan-view.ts';

/** Durations in their shortest form, as in answers. */
const duration = (most: number) =>
  fc
    .integer({ min: 1, max: most })
    .filter((n) => n % 60 !== 0)
    .map((n) => `${n}m`);
const percent = fc.integer({ min: 1, max: 9_999 }).map((hundredths) => hundredths / 100);
const version = fc.integer({ min: 1, max: 999_999_999 }).map(String);
const share = fc.option(fc.double({ min: 0, max: 1, noNaN: true }));
const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/).filter((text) => text !== 'stable');
const outcome = fc.record({
  name,
  kind: fc.constantFrom('binary' as const, 'sum' as const),
  window: duration(90 * 1_440),
  better: fc.constantFrom('higher' as const, 'lower' as const),
  guardrail: fc.boolean(),
  minimumEffect: fc.double({ min: 0.001, max: 10, noNaN: true }),
  cap: fc.constant(null),
});
const capped = fc
  .tuple(outcome, fc.double({ min: 0.001, max: 1e15, noNaN: true }))
  .map(([one, cap]) => ({ ...one, kind: 'sum' as const, cap }));
const analysis = fc.record({
  ...{ automatic: fc.boolean(), dryRun: fc.boolean(), interval: duration(1_440), minStep: duration(90 * 1_440) },
  ...{ minUsers: fc.integer({ min: 10, max: 10_000_000 }), alpha: fc.double({ min: 0.0001, max: 0.5, noNaN: true }) },
  ...{ holdDeadline: fc.option(duration(90 * 1_440)), preparingDeadline: fc.option(duration(90 * 1_440)) },
  ...{ onDeadline: fc.constantFrom('alert' as const, 'roll_back' as const), staleShare: share, defaultShare: share },
  ...{ errorRate: share, slowShare: share, liveShare: share, slow: fc.constantFrom('50ms', '1500ms', '5s') },
  psi: fc.option(fc.double({ min: 0.01, max: 100, noNaN: true })),
  outcomes: fc.uniqueArray(fc.oneof(outcome, capped), { maxLength: 5, selector: (one) => one.name }),
});
const coverage = fc.constantFrom('required' as const, 'live' as const);
const plan: fc.Arbitrary<RolloutPlanView> = fc.oneof(
  fc.record({
    ...{ kind: fc.constant('canary' as const), version, coverage, analysis, atOnce: fc.constant(false) },
    steps: fc.uniqueArray(percent, { maxLength: 19 }).map((steps) => [...steps.sort((a, b) => a - b), 100]),
  }),
  fc.record({
    ...{ kind: fc.constant('shadow' as const), version, share: fc.double({ min: 0, max: 1, noNaN: true }) },
    maxPerSecond: fc.double({ min: 0.1, max: 100_000, noNaN: true }),
  }),
  fc.record({
    ...{ kind: fc.constant('ab' as const), coverage, analysis },
    arms: fc
      .uniqueArray(fc.record({ variant: name, version, weight: percent }), {
        ...{ minLength: 1, maxLength: 9, selector: (arm) => arm.variant },
      })
      .filter((arms) => arms.reduce((sum, { weight }) => sum + Math.round(weight * 100), 0) <= 10_000),
  }),
);

describe('a plan', () => {
  it('of an earlier release has no deadline, and no guardrail on stale and default answers', () => {
    const known = planOf(RolloutPlanSchema.parse({ kind: 'canary', version: '1' }));
    if (known.kind !== 'canary') throw new Error('not a canary');
    const { holdDeadlineMs: _, preparingDeadlineMs: __, onDeadline: ___, ...analysis } = known.analysis;
    const { staleShare: ____, defaultShare: _____, ...guardrails } = analysis.guardrails;
    const view = planView({ ...known, analysis: { ...analysis, guardrails } });
    expect(view).toMatchObject({
      analysis: {
        holdDeadline: null,
        preparingDeadline: null,
        onDeadline: 'alert',
        staleShare: null,
        defaultShare: null,
      },
    });
  });

  it('is shown as it was requested', () => {
    fc.assert(
      fc.property(plan, (view) => {
        expect(RolloutPlanSchema.parse(view)).toEqual(view);
        expect(planView(planOf(view))).toEqual(view);
        // The database returns the plan as parsed JSON.
        expect(planView(JSON.parse(JSON.stringify(planOf(view))))).toEqual(view);
      }),
    );
  });

  it.each([
    ['0s', 'expected a duration above 0, such as "30s"'],
    ['0ms', 'expected a duration above 0, such as "30s"'],
    ['30', 'expected a duration such as "30s", "10m", "6h" or "14d"'],
    ['1ms', 'expected at least 1s'],
    ['999ms', 'expected at least 1s'],
    ['2d', 'expected at most 1d'],
  ])('rejects the interval %s, and the error names the expected form', (interval, message) => {
    const { error } = RolloutPlanSchema.safeParse({ kind: 'canary', version: '1', analysis: { interval } });
    expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
    const shortest = RolloutPlanSchema.safeParse({ kind: 'canary', version: '1', analysis: { interval: '1s' } });
    expect(shortest.success).toBe(true);
  });

  it('converts all units to milliseconds', () => {
    const asked = { interval: '90s', minStep: '2h', slow: '50ms', outcomes: [{ name: 'order', window: '14d' }] };
    const canary = planOf(RolloutPlanSchema.parse({ kind: 'canary', version: '12', analysis: asked }));
    expect(canary).toMatchObject({
      version: 12,
      analysis: {
        ...{ intervalMs: 90_000, minStepMs: 7_200_000, guardrails: { slowMs: 50 } },
        outcomes: [{ name: 'order', kind: 'binary', windowMs: 1_209_600_000 }],
      },
    });
  });

  // As floating-point numbers, 14.29 × 6 + 14.26 is a little more than 100. For [50.005, 49.995], both arms would be
  // rounded up by half a bucket.
  it.each([
    [[14.29, 14.29, 14.29, 14.29, 14.29, 14.29, 14.26], true],
    [[33.34, 33.33, 33.33], true],
    [[33.34, 33.34, 33.33], false],
    [[50.005, 49.995], false],
    [[99.99, 0.01], true],
  ])('adds up weights in buckets: %j', (weights, fits) => {
    const arms = weights.map((weight, i) => ({ variant: `arm${i}`, version: '1', weight }));
    expect(RolloutPlanSchema.safeParse({ kind: 'ab', arms }).success).toBe(fits);
  });
});
