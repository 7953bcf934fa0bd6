import type { OutputField } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { commonFields, compareBuilds, judgedField, midranks, rankCorrelation, scoreLabels } from './compare-builds.ts';

const field = (name: string, type: OutputField['type'] = 'float32', width: number | null = null): OutputField => ({
  ...{ name, output: name, type, width, index: 0 },
});
const SCORE = [field('score')];
const users = (...scores: number[]) => ({ fields: SCORE, answers: scores.map((score) => [score]) });

describe('ranks', () => {
  it('give equal values the mean of their ranks', () => {
    expect(midranks([5, 1, 5, 3])).toEqual([3.5, 1, 3.5, 2]);
    expect(midranks([])).toEqual([]);
  });

  it('correlate as in scipy.stats.spearmanr, ties included', () => {
    // spearmanr([1, 2, 2, 4, 7], [3, 1, 4, 4, 9]).statistic
    expect(rankCorrelation([1, 2, 2, 4, 7], [3, 1, 4, 4, 9])).toBeCloseTo(0.7631578947368421, 12);
    expect(rankCorrelation([1, 2, 3], [30, 20, 10])).toBeCloseTo(-1, 12);
    expect(rankCorrelation([1, 2, 3], [4, 4, 4])).toBeNull();
  });
});

describe('a build’s answers compared with its parent’s', () => {
  it('have mean differences and counts of changed decisions', () => {
    const { outputs, decision } = compareBuilds(users(0.1, 0.49, 0.5, 0.9), users(0.1, 0.51, 0.45, 0.5), {
      output: 'score',
      threshold: 0.5,
    });
    expect(outputs).toEqual([
      {
        name: 'score',
        changed: 0.75,
        meanDifference: expect.closeTo((0.02 + 0.05 + 0.4) / 4, 12),
        largestDifference: expect.closeTo(0.4, 12),
        rankCorrelation: expect.closeTo(0.4, 12),
      },
    ]);
    expect(decision).toMatchObject({ up: 1, down: 1, rate: 0.5, low: expect.closeTo(0.15, 2) });
  });

  it('are compared by the fields that both have, at any position', () => {
    const parent = { fields: [field('label', 'string'), field('topics', 'float32', 2)], answers: [['a', 1, 2]] };
    const build = { fields: [field('topics', 'float32', 2), field('label', 'string')], answers: [[1, 2.5, 'b']] };
    expect(compareBuilds(parent, build, undefined)).toEqual({
      outputs: [
        { name: 'label', changed: 1, meanDifference: null, largestDifference: null, rankCorrelation: null },
        { name: 'topics', changed: 1, meanDifference: 0.25, largestDifference: 0.5, rankCorrelation: null },
      ],
      decision: null,
    });
    expect(commonFields(SCORE, [field('score', 'float32', 2)])).toEqual([]);
    expect(judgedField(parent, undefined)).toBeNull();
    expect(judgedField({ fields: [field('label', 'string'), ...SCORE], answers: [] }, undefined)).toBe('score');
  });
});

describe('labels', () => {
  it('of 0 and 1 with probabilities give AUC and log-loss as in scikit-learn', () => {
    const figures = scoreLabels({ labels: [0, 0, 1, 1], parent: [0.1, 0.4, 0.35, 0.8], build: [0.2, 0.2, 0.2, 0.9] });
    // roc_auc_score, log_loss
    expect(figures).toEqual({
      kind: 'classes',
      parent: { auc: 0.75, logLoss: expect.closeTo(0.4722879, 6) },
      build: { auc: 0.75, logLoss: expect.closeTo(0.5402714, 6) },
    });
  });

  it('of one class give no AUC, and a wrong certain score has a finite log-loss', () => {
    const { parent } = scoreLabels({ labels: [1, 1], parent: [0, 1], build: [1, 1] });
    expect(parent).toEqual({ auc: null, logLoss: expect.closeTo(8.06, 2) });
  });

  it('of any other kind give mean errors', () => {
    expect(scoreLabels({ labels: [0, 1], parent: [3, 5], build: [0, 1] })).toEqual({
      kind: 'errors',
      parent: { meanAbsoluteError: 3.5, rootMeanSquaredError: expect.closeTo(Math.sqrt(12.5), 12) },
      build: { meanAbsoluteError: 0, rootMeanSquaredError: 0 },
    });
  });
});
