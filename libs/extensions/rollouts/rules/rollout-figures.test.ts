import type { AnalysisPlan, Rollout, RolloutPlan } from '@tandem/freshness/rollout';
import { describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS, NO_COUNTS } from './arm-counts.ts';
import { analysisOf, figuresOf, judgedFiguresOf, reportOf, type StepRecord } from './rollout-figures.ts';

const ANALYSIS: AnalysisPlan = {
  automatic: true,
  dryRun: false,
  intervalMs: 1,
  minStepMs: 0,
  minUsers: 100,
  alpha: 0.05,
  guardrails: { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: null },
  outcomes: [
    { name: 'order', kind: 'binary', windowMs: 1, better: 'higher', guardrail: false, minimumEffect: 0.1 },
    { name: 'spent', kind: 'sum', windowMs: 1, better: 'higher', guardrail: false, minimumEffect: 0.1 },
  ],
};
const CANARY: RolloutPlan = { kind: 'canary', version: 2, steps: [5, 50, 100], coverage: 'live', analysis: ANALYSIS };
const arm = (name: string, firstBucket: number, endBucket: number) => ({
  name,
  modelVersionId: name,
  modelNumber: 2,
  generationId: null,
  generationNumber: null,
  firstBucket,
  endBucket,
});
const rollout = (changes: Partial<Rollout> = {}): Rollout => ({
  id: 'r',
  predictor: 'p',
  number: 1,
  kind: 'canary',
  state: 'running',
  salt: 's',
  plan: CANARY,
  step: 0,
  stepStartedAt: new Date(0),
  arms: [arm('candidate', 0, 500)],
  reason: '',
  createdBy: 'test',
  createdAt: new Date(0),
  endedAt: null,
  ...changes,
});

/** One read in each latency class, and one above all. */
const EACH_CLASS = [...LATENCY_BOUNDS_MS, 0].map(() => 1);
const counts = (changes: object = {}) => ({ ...NO_COUNTS, reads: 13, latency: EACH_CLASS, users: 4, ...changes });
const record = (changes: Partial<StepRecord> = {}): StepRecord => ({
  elapsedMs: 60_000,
  served: {
    counts: [
      { arm: 'stable', source: 'batch', counts: counts({ reads: 100 }) },
      { arm: 'candidate', source: 'batch', counts: counts({ errors: 2 }) },
      { arm: 'candidate', source: 'live', counts: counts({ reads: 7, errors: 1 }) },
    ],
    exposed: [
      { arm: 'candidate', source: 'batch', users: 8 },
      { arm: 'candidate', source: 'live', users: 3 },
      { arm: 'stable', source: 'batch', users: 90 },
    ],
    multipleExposures: 4,
    newUsers: [],
  },
  outcomes: { arms: [], asOf: null },
  ...changes,
});
const figures = (one: Rollout = rollout(), analysis = ANALYSIS) => figuresOf(one, analysis, record());

describe('figures of a step', () => {
  it('add up the reads of each source of an arm, and weigh arms by their users', () => {
    expect(figures()).toMatchObject({
      elapsedMs: 60_000,
      stable: { name: 'stable', weight: 9_500, users: 90, reads: 100, sources: { batch: 100 } },
      arms: [{ name: 'candidate', weight: 500, users: 11, reads: 20, errors: 3, sources: { batch: 13, live: 7 } }],
    });
  });

  it('count users instead of reads for judgement, including users with some errors', () => {
    expect(judgedFiguresOf(rollout(), ANALYSIS, record())).toMatchObject({
      stable: { users: 90, reads: 4, sources: { batch: 4 } },
      arms: [{ users: 11, reads: 8, errors: expect.closeTo((4 * 2) / 13 + 4 / 7), sources: { batch: 4, live: 4 } }],
    });
  });

  it.each([
    [1, 12],
    [2, 11],
    [3, 10],
    [100, 6],
    [5_000, 1],
    [5_001, 1],
  ])('reads slower than %i ms are the reads of the classes above it, here %i', (slowMs, classes) => {
    const analysis = { ...ANALYSIS, guardrails: { ...ANALYSIS.guardrails, slowMs } };
    expect(figures(rollout(), analysis).stable.slow).toBe(classes);
  });

  it('count the steps in which the stable arm still serves users; an A/B test is one step', () => {
    const plan: RolloutPlan = {
      kind: 'ab',
      coverage: 'live',
      analysis: ANALYSIS,
      arms: [{ name: 'b', version: 2, weight: 33.33 }],
    };
    expect(figures().steps).toBe(2);
    const ab = figures(rollout({ kind: 'ab', plan, arms: [arm('b', 0, 3_333)] }));
    expect([ab.steps, ab.stable.weight, ab.arms[0]?.weight]).toEqual([1, 6_667, 3_333]);
    const over = figures(rollout({ kind: 'ab', state: 'ended', plan, arms: [] }));
    expect([over.stable.weight, over.arms.map(({ name, weight }) => [name, weight])]).toEqual([6_667, [['b', 3_333]]]);
  });

  it('of an ended canary are those of its last step', () => {
    const { stable, arms } = figures(rollout({ state: 'aborted', step: 1, arms: [] }));
    expect([stable.weight, arms]).toMatchObject([5_000, [{ name: 'candidate', weight: 5_000, users: 11, errors: 3 }]]);
  });

  it('have scores only if there are any, and none for a shadow', () => {
    expect(figures().arms[0]?.scores).toEqual([]);
    expect(analysisOf({ plan: { kind: 'shadow', version: 2, share: 1, maxPerSecond: 1 } })).toBeNull();
  });
});

describe('a report', () => {
  const sums = (users: number, usersWith: number) => {
    return { users, usersWith, sum: usersWith, sumOfSquares: usersWith, largest: Math.min(usersWith, 1) };
  };
  const [order] = ANALYSIS.outcomes;
  const outcome = (name: string, mature: number, all: number) => ({
    arm: name,
    metric: order as NonNullable<typeof order>,
    mature: sums(1_000, mature),
    all: sums(2_000, all),
  });

  it('compares outcomes of users whose window has ended, and also shows the outcomes of all users', () => {
    const outcomes = { arms: [outcome('stable', 200, 300), outcome('candidate', 260, 420)], asOf: null };
    const report = reportOf(rollout(), ANALYSIS, record({ outcomes }));
    expect(report.multipleExposures).toBe(4);
    expect(report.outcomes).toMatchObject([
      {
        arm: 'candidate',
        mature: {
          stable: { users: 1_000, mean: 0.2 },
          arm: { mean: 0.26 },
          relative: { estimate: expect.closeTo(0.3) },
        },
        sofar: { stable: { users: 2_000, mean: 0.15 }, arm: { users: 2_000, mean: 0.21 } },
      },
    ]);
  });

  it('has no comparison if an arm has served no users', () => {
    const alone = { arms: [outcome('candidate', 1, 2)], asOf: null };
    expect(reportOf(rollout(), ANALYSIS, record({ outcomes: alone })).outcomes).toEqual([]);
    expect(reportOf(rollout(), ANALYSIS, record()).outcomes).toEqual([]);
  });
});
