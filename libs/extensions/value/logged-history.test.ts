import type { KeptExplanation } from '@tandem/prediction/explanations/kept-explanation';
import { describe, expect, it } from 'vitest';
import { historyOfAnswers, type LoggedParts } from './logged-history.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Said {
  readonly at: number;
  readonly version: number;
  readonly value: number | null;
  /** The time at which the answer was computed; default: the time of the answer. */
  readonly computedAt?: number;
  readonly computedFrom?: number;
  readonly concerning?: number;
  readonly userId?: string;
}

let number = 0;
function kept({ at, version, value, userId = '7', ...said }: Said): KeptExplanation {
  const { computedAt = at, computedFrom = version, concerning = version } = said;
  return {
    ...{ id: `${++number}`, number, modelVersionId: 'v', at: new Date(at), keepUntil: new Date(at + DAY) },
    answer: {
      ...{ predictor: 'p', userId, prediction: { score: 0.5 }, source: 'batch', reason: 'fresh', modelNumber: 1 },
      ...{ variant: 'stable', generationNumber: 1, ageSeconds: 0, history: 'h', computedAt, contextVersion: version },
      ...{ lastConcerningVersion: concerning, predictedFromContextVersion: computedFrom },
    } as KeptExplanation['answer'],
    inputs: {
      ...{ read: 'after_the_reply', readAt: at + 1, history: 'h', contextVersion: version, fault: null },
      features: [{ name: 'orders', value, event: null }],
    },
  };
}

function log(answers: readonly KeptExplanation[], more: Partial<LoggedParts> = {}) {
  return historyOfAnswers({
    ...{
      predictor: 'p',
      kept: answers,
      outcomes: [],
      withinMs: DAY,
      itemPrefix: null,
      isAbsentUnknown: false,
      now: new Date(100 * DAY),
      users: 40,
    },
    ...more,
  });
}

describe('the history of kept answers', () => {
  it('knows the features from the computation of an answer on, and between answers of the same context', () => {
    const first = kept({ at: 5 * HOUR, computedAt: HOUR, version: 3, value: 4 });
    const second = kept({ at: 8 * HOUR, computedAt: HOUR, version: 3, value: 4 });
    const { history, features } = log([second, first]);
    expect(features).toEqual(['orders']);
    expect(history).toMatchObject({
      from: HOUR + 600_000,
      to: 8 * HOUR + 1,
      users: 40,
      simulated: false,
      contexts: [[4], [4]],
    });
    expect(history.timelines).toEqual([
      [
        { kind: 'context', at: HOUR, context: 0 },
        { kind: 'read', at: 5 * HOUR, read: 0 },
        { kind: 'context', at: 5 * HOUR, context: 1 },
        { kind: 'read', at: 8 * HOUR, read: 1 },
      ],
    ]);
  });

  it('does not know the features between answers if an event came between, and places the event before the later answer', () => {
    const { history } = log([kept({ at: HOUR, version: 3, value: 4 }), kept({ at: 5 * HOUR, version: 4, value: 5 })]);
    expect(history.timelines[0]?.slice(2)).toEqual([
      { kind: 'context', at: HOUR + 1, context: null },
      { kind: 'event', at: 5 * HOUR },
      { kind: 'context', at: 5 * HOUR, context: 1 },
      { kind: 'read', at: 5 * HOUR, read: 1 },
    ]);
  });

  it('ignores an event that does not concern the predictor, and uses inputs of a later context only at their answer', () => {
    const other = log([
      kept({ at: HOUR, version: 3, value: 4 }),
      kept({ at: 5 * HOUR, version: 4, value: 5, concerning: 3 }),
    ]);
    expect(other.history.timelines[0]?.map(({ kind }) => kind)).toEqual([
      'context',
      'read',
      'context',
      'context',
      'read',
    ]);
    const later = log([kept({ at: 5 * HOUR, computedAt: HOUR, computedFrom: 2, version: 3, value: 4 })]);
    expect(later.history.timelines[0]?.[0]).toEqual({ kind: 'context', at: 5 * HOUR, context: 0 });
  });

  it('uses the outcomes in the window after a read, and omits reads with an open window', () => {
    const outcome = (at: number, userId = '7', name = 'order') => ({ userId, name, value: 1, time: new Date(at) });
    const answers = [kept({ at: HOUR, version: 1, value: 1 }), kept({ at: 50 * HOUR, version: 1, value: 1 })];
    const outcomes = [outcome(HOUR), outcome(25 * HOUR), outcome(60 * HOUR, '8')];
    expect(log(answers, { outcomes }).history.reads).toEqual([
      { user: 0, outcome: 1 },
      { user: 0, outcome: 0 },
    ]);
    const young = log(answers, { outcomes, now: new Date(60 * HOUR) });
    expect(young.history.reads).toHaveLength(1);
    expect(young.left).toMatchObject({ tooYoung: 1, withoutInputs: 0 });
    const items = log(answers, { outcomes: [outcome(2 * HOUR, '7', 'click:42')], itemPrefix: 'click:' });
    expect(items.history.reads.map((read) => read.outcome)).toEqual(['42', '']);
  });

  it('takes a value of 0 as an outcome that did not happen, and can take an absent one as unknown', () => {
    const answers = [HOUR, 50 * HOUR, 100 * HOUR].map((at) => kept({ at, version: 1, value: 1 }));
    const outcomes = [
      { userId: '7', name: 'order', value: 0, time: new Date(2 * HOUR) },
      { userId: '7', name: 'order', value: 2.5, time: new Date(51 * HOUR) },
    ];
    const outcomesOf = (more: Partial<LoggedParts>) =>
      log(answers, { outcomes, ...more }).history.reads.map(({ outcome }) => outcome);
    expect(outcomesOf({})).toEqual([0, 1, 0]);
    expect(outcomesOf({ isAbsentUnknown: true })).toEqual([0, 1, null]);
    expect(outcomesOf({ isAbsentUnknown: true, itemPrefix: 'or' })).toEqual(['', 'der', null]);
  });

  it('omits answers without usable inputs', () => {
    const answers = [
      kept({ at: HOUR, version: 1, value: 1 }),
      { ...kept({ at: HOUR, version: 1, value: 1 }), inputs: 'no_row' as const },
    ];
    const { history, left } = log(answers);
    expect(history.reads).toHaveLength(1);
    expect(left).toMatchObject({ tooYoung: 0, withoutInputs: 1 });
  });

  it('omits answers to calls with request features, and does not use a request feature’s default as a feature', () => {
    const of = (one: KeptExplanation, request: 'sent' | 'default'): KeptExplanation => {
      if (typeof one.inputs === 'string') return one;
      const features = [...one.inputs.features, { name: 'amount', value: 40, event: null, request }];
      return { ...one, inputs: { ...one.inputs, features } };
    };
    const { history, features, left } = log([
      of(kept({ at: 5 * HOUR, version: 3, value: 4 }), 'default'),
      of(kept({ at: 6 * HOUR, version: 3, value: 4 }), 'sent'),
    ]);
    expect([features, history.reads.length, left.withRequest]).toEqual([['orders'], 1, 1]);
  });
});
