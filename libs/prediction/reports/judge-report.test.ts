import { PUBLISH_DEFAULTS } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { compareSides, scores } from './compare-generations.fixture.ts';
import { crossingText, judgeReport } from './generation-report.ts';

const users = Array.from({ length: 200 }, (_, i) => i);
const before = scores(users.map((i) => [`${i}`, i / 200]));
const now = scores(users.filter((i) => i < 150).map((i) => [`${i}`, i / 200 + 0.5]));
const decision = { output: 'score', threshold: 0.5 };
const { figures } = compareSides(before, now, { decision });
const limits = { maxPsi: 0.25, maxFlipRate: 0.1, maxMeanDelta: 0.4, minCoverage: 0.9 };
const judge = (policy: Partial<typeof PUBLISH_DEFAULTS>, decided = decision) =>
  judgeReport(figures(), { ...PUBLISH_DEFAULTS, ...policy }, decided);

describe('thresholds', () => {
  it('block nothing if none are set', () => {
    expect(judge({})).toEqual({ crossings: [], notes: [] });
  });

  it.each([
    ['maxPsi', 'score'],
    ['maxFlipRate', 'score'],
    ['maxMeanDelta', 'score'],
    ['minCoverage', null],
  ] as const)('%s is crossed independently of the others', (setting, output) => {
    const { crossings } = judge({ [setting]: limits[setting] });
    expect(crossings).toMatchObject([{ setting, output, limit: limits[setting] }]);
    expect(crossings.map(crossingText)[0]).toContain(String(limits[setting]));
  });

  it('are not crossed by figures within them', () => {
    expect(judge({ maxPsi: 100, maxFlipRate: 1, maxMeanDelta: 0.5, minCoverage: 0.75 }).crossings).toEqual([]);
  });

  it('are not judged for few users, except coverage', () => {
    const { crossings, notes } = judge({ ...limits, minUsers: 151 });
    expect(crossings.map(({ setting }) => setting)).toEqual(['minCoverage']);
    expect(notes).toEqual([
      'maxPsi, maxFlipRate, maxMeanDelta not judged: 150 users are in both generations, fewer than minUsers (151)',
    ]);
  });

  it('apply only to the decision’s output if there is a decision', () => {
    expect(judge(limits, { output: 'another', threshold: 0 }).crossings.map(({ setting }) => setting)).toEqual([
      'minCoverage',
      'maxFlipRate',
    ]);
  });
});
