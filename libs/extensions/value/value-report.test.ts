import { createRandom } from '@tandem/experiment/distributions/random';
import { describe, expect, it } from 'vitest';
import { judgeChances, judgeLists } from './judges.ts';
import type { Outcome, Step, ValueHistory } from './value-history.ts';
import { planValue, reportValue } from './value-report.ts';

const HOUR = 3_600_000;

/** Users that are read once after an event. A user n has context 2n before it, and 2n + 1 after it. */
function historyOf(outcomes: readonly Outcome[], more: Partial<ValueHistory> = {}): ValueHistory {
  const timelines = outcomes.map((_, user): Step[] => [
    { kind: 'context', at: 0, context: 2 * user },
    { kind: 'event', at: HOUR },
    { kind: 'context', at: HOUR, context: 2 * user + 1 },
    { kind: 'read', at: HOUR + 60_000, read: user },
  ]);
  return {
    ...{ predictor: 'p', from: 0, to: 24 * HOUR, users: outcomes.length, simulated: false, contexts: [], timelines },
    reads: outcomes.map((outcome, user) => ({ user, outcome })),
    ...more,
  };
}

const OPTIONS = { cadencesMs: [24 * HOUR], maxAgeMs: null };
const outcomes = Array.from({ length: 40 }, (_, user) => user % 2);

describe('a value report', () => {
  it('shows the gain of live answers over answers of the run, on paired reads', () => {
    const plan = planValue(historyOf(outcomes), OPTIONS);
    expect(plan.contexts).toHaveLength(80);
    const chances = new Map(
      outcomes.flatMap((one, user) => [[2 * user, 0.5] as const, [2 * user + 1, one ? 0.8 : 0.2]]),
    );
    const report = reportValue(plan, judgeChances(chances), 1);
    const gained = Math.log(2) + Math.log(0.8);
    expect(report.gains).toEqual([
      {
        ...{ cadenceMs: 24 * HOUR, verdict: 'gain', bounds: null },
        change: expect.objectContaining({ value: expect.closeTo(gained, 9) }),
      },
    ]);
    expect(report).toMatchObject({
      outcomeRate: 0.5,
      reads: { all: 40, judged: 40, unknownContext: 0, unknownOutcome: 0, unscorable: 0 },
    });
    const [batch, hybrid, live] = report.policies;
    expect(batch).toMatchObject({ policy: 'batch', auc: { value: 0.5 }, inferences: { batch: 40, live: 0, aRead: 1 } });
    expect(batch?.againstLive.value).toBeCloseTo(-gained, 9);
    expect(batch?.calibration?.bias.value).toBeCloseTo(0, 9);
    expect(hybrid).toMatchObject({ auc: { value: 1 }, inferences: { batch: 40, live: 40, aRead: 2 } });
    expect(hybrid?.calibration?.error).toBeCloseTo(0.2, 9);
    expect(live).toMatchObject({
      cadenceMs: null,
      againstLive: { value: 0, low: 0, high: 0 },
      inferences: { aRead: 1 },
    });
    expect(report.batchByAge).toMatchObject([{ fromMs: HOUR, toMs: 6 * HOUR, answers: 40, users: 40 }]);
  });

  it('finds neither gain nor loss if the interval includes 0, and omits reads that the model cannot score', () => {
    const chances = new Map(Array.from({ length: 79 }, (_, context) => [context, 0.3 + (context % 7) / 20] as const));
    const report = reportValue(planValue(historyOf(outcomes), OPTIONS), judgeChances(chances), 1);
    expect(report.gains[0]?.verdict).toBe('none');
    expect(report.reads).toEqual({ all: 40, judged: 39, unknownContext: 0, unknownOutcome: 0, unscorable: 1 });
  });

  it('finds nothing for fewer than 20 users, since their interval would be too narrow', () => {
    const chances = new Map([...Array(38).keys()].map((context) => [context, context % 2 ? 0.9 : 0.5] as const));
    const plan = planValue(historyOf(Array.from({ length: 19 }, () => 1)), OPTIONS);
    expect(reportValue(plan, judgeChances(chances), 1).gains[0]).toMatchObject({ verdict: 'unknown' });
  });

  it('widens the intervals of the gains with the number of cadences, since the best one is in the headline', () => {
    const random = createRandom(5);
    const timelines = outcomes.map((_, user): Step[] => [
      { kind: 'context', at: 0, context: 3 * user },
      { kind: 'event', at: HOUR },
      { kind: 'context', at: HOUR, context: 3 * user + 1 },
      { kind: 'event', at: 5 * HOUR },
      { kind: 'context', at: 5 * HOUR, context: 3 * user + 2 },
      { kind: 'read', at: 5 * HOUR + 60_000, read: user },
    ]);
    const judge = judgeChances(new Map(Array.from({ length: 120 }, (_, context) => [context, 0.3 + random() / 3])));
    const changeOf = (cadencesMs: readonly number[]) =>
      reportValue(planValue(historyOf(outcomes, { timelines }), { ...OPTIONS, cadencesMs }), judge, 1).gains.at(-1)
        ?.change;
    const [alone, best] = [changeOf([24 * HOUR]), changeOf([2 * HOUR, 24 * HOUR])];
    expect(best?.value).toBe(alone?.value);
    expect(best?.low).toBeLessThan(alone?.low ?? 0);
    expect(best?.high).toBeGreaterThan(alone?.high ?? 0);
  });

  it('judges all policies by the reads for which each policy has a context', () => {
    const plan = planValue(historyOf(outcomes, { from: 1 }), { ...OPTIONS, cadencesMs: [HOUR / 2, 24 * HOUR] });
    expect(plan.judged).toHaveLength(40);
    const late = planValue(historyOf(outcomes, { from: -HOUR / 4 }), OPTIONS);
    expect(late.judged).toHaveLength(0);
  });
});

describe('lists', () => {
  it('are judged by whether the item is among the first items, or among the items with the highest scores', () => {
    const items = judgeLists(new Map([[0, ['a', 'b', 'c']]]), { type: 'string' }, 2);
    expect(['a', 'b', 'c'].map((item) => items.quality(0, item))).toEqual([1, 1, 0]);
    expect(items.quality(1, 'a')).toBeNaN();
    const scores = judgeLists(new Map([[0, [0.1, 0.9, 0.4]]]), { type: 'float32' }, 2);
    expect([0, 1, '2'].map((item) => scores.quality(0, item))).toEqual([0, 1, 1]);
  });

  it('have a hit rate, of which higher is better', () => {
    const lists = new Map<number, number[]>();
    for (const user of outcomes.keys()) lists.set(2 * user, [5, 6]).set(2 * user + 1, [1, 6]);
    const judge = judgeLists(lists, { type: 'int64' }, 1);
    const report = reportValue(planValue(historyOf(outcomes), OPTIONS), judge, 1);
    expect(report).toMatchObject({ measure: 'hitRate', top: 1, outcomeRate: null });
    expect(report.gains[0]).toMatchObject({ verdict: 'gain', change: { value: 0.5 } });
    expect(report.policies[1]).toMatchObject({ auc: null, calibration: null, quality: { value: 0.5 } });
  });
});
