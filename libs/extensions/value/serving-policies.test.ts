import { describe, expect, it } from 'vitest';
import { answerReads, type ServingPolicy } from './serving-policies.ts';
import type { Step, ValueHistory } from './value-history.ts';

const HOUR = 3_600_000;

/** One user's steps: [hour, context], [hour, 'event'], [hour, 'read']. */
function historyOf(
  ...said: readonly (readonly [hour: number, what: number | null | 'event' | 'read'])[]
): ValueHistory {
  const reads: { user: number; outcome: number }[] = [];
  const steps = said.map(([hour, what]): Step => {
    const at = hour * HOUR;
    if (what === 'event') return { kind: 'event', at };
    if (what === 'read') return { kind: 'read', at, read: reads.push({ user: 0, outcome: 0 }) - 1 };
    return { kind: 'context', at, context: what };
  });
  return {
    ...{ predictor: 'p', from: 0, to: 4 * HOUR, users: 10, simulated: false, timelines: [steps], contexts: [], reads },
  };
}

function answers(history: ValueHistory, policy: ServingPolicy, maxAgeMs: number | null = null) {
  const { contexts, ages, ...spent } = answerReads(history, policy, maxAgeMs);
  return { contexts: [...contexts], ages: [...ages].map((ms) => ms / HOUR), ...spent };
}

const batch = { kind: 'batch', cadenceMs: HOUR } as const;
const hybrid = { kind: 'hybrid', cadenceMs: HOUR } as const;
const live = { kind: 'live' } as const;

/** An event and new features between the run at 1 h and the reads before the run at 2 h. */
const EVENT = historyOf([0, 0], [0.5, 'read'], [1.2, 'event'], [1.2, 1], [1.5, 'read'], [1.7, 'read'], [2.5, 'read']);

describe('batch-only', () => {
  it('answers from the last run whatever came since, and infers each user in each run', () => {
    expect(answers(EVENT, batch)).toEqual({
      contexts: [0, 0, 0, 1],
      ages: [0.5, 0.5, expect.closeTo(0.7, 9), 0.5],
      ...{ batchInferences: 40, liveInferences: 0 },
    });
  });

  it('sees in a run all steps up to its time, and counts runs from the start to before the end', () => {
    const history = historyOf([0, 0], [1, 1], [1, 'read'], [1.1, 'read']);
    expect(answers(history, batch).contexts).toEqual([0, 1]);
    expect(answers(history, { ...batch, cadenceMs: 3 * HOUR }).batchInferences).toBe(20);
  });

  it('has no answer before the first run that knows the user, nor if the features were unknown at the run', () => {
    expect(answers(historyOf([0.2, 0], [0.5, 'read'], [1.5, 'read']), batch).contexts).toEqual([-1, 0]);
    expect(answers(historyOf([0, 0], [0.5, null], [1.4, 2], [1.5, 'read']), batch).contexts).toEqual([-1]);
  });
});

describe('the hybrid', () => {
  it('infers once after each event, and otherwise answers from the run', () => {
    expect(answers(EVENT, hybrid)).toEqual({
      contexts: [0, 1, 1, 1],
      ages: [0.5, 0, expect.closeTo(0.2, 9), 0.5],
      ...{ batchInferences: 40, liveInferences: 1 },
    });
  });

  it('does not see features that change without an event before the next run', () => {
    const history = historyOf([0, 0], [1.2, 1], [1.5, 'read'], [2.5, 'read']);
    expect(answers(history, hybrid)).toMatchObject({ contexts: [0, 1], liveInferences: 0 });
  });

  it('infers if no run has scored the user, or if the stored answer is older than maxAge', () => {
    expect(answers(historyOf([0.2, 0], [0.5, 'read']), hybrid)).toMatchObject({ contexts: [0], liveInferences: 1 });
    const late = historyOf([0, 0], [0.1, 'read'], [0.9, 'read']);
    expect(answers(late, hybrid, 0.5 * HOUR)).toMatchObject({ contexts: [0, 0], liveInferences: 1 });
  });
});

describe('live-only', () => {
  it('infers at each read from the features of that moment', () => {
    expect(answers(EVENT, live)).toEqual({
      ...{ contexts: [0, 1, 1, 1], ages: [0, 0, 0, 0], batchInferences: 0, liveInferences: 4 },
    });
    expect(answers(historyOf([0, 0], [1, null], [1.5, 'read']), live).contexts).toEqual([-1]);
  });
});
