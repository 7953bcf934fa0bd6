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

describe('a figure above its threshold that may be chance', () => {
  const few = users.slice(0, 40);
  const was = scores(few.map((i) => [`${i}`, i / 40]));
  const is = scores(few.map((i) => [`${i}`, i === 19 || i === 18 ? 0.6 : i / 40]));
  const policy = { ...PUBLISH_DEFAULTS, minUsers: 1, maxFlipRate: 0.04, maxMeanDelta: 0.005 };
  const small = compareSides(was, is, { decision }).figures();

  it('holds nothing back, and a note has its lower bound', () => {
    const { crossings, notes } = judgeReport(small, policy, decision);
    expect(crossings).toEqual([]);
    expect(notes).toEqual([
      expect.stringMatching(
        /^mean delta 0\.\d+ of score is above 0\.005, but may be chance: at least 0 at 99 % confidence$/,
      ),
      expect.stringMatching(/^flip rate 0\.05 of score is above 0\.04, but may be chance: at least 0\.003\d+ at 99 %/),
    ]);
  });

  it('of a report without bounds, as earlier releases made it, is judged itself', () => {
    const { rateLower, ...flips } = small.decision ?? { ...decision, up: 0, down: 0, rate: 0 };
    const { crossings } = judgeReport({ ...small, decision: flips }, policy, decision);
    expect(crossings).toMatchObject([{ setting: 'maxFlipRate', value: 0.05 }]);
  });

  it('of the PSI is judged against the first generation as well', () => {
    const first = [{ name: 'score', ends: [0.25, 0.5, 0.75], counts: [970, 10, 10, 10] }];
    const { figures: moved } = compareSides(before, before, { decision, first });
    const { crossings } = judgeReport(moved(), { ...PUBLISH_DEFAULTS, maxPsi: 0.25 }, decision);
    expect(crossings).toMatchObject([{ setting: 'maxPsi', against: 'first', output: 'score', limit: 0.25 }]);
    expect(crossings.map(crossingText)[0]).toMatch(/^PSI [0-9.]+ of score against the first generation is above 0.25$/);
  });
});
