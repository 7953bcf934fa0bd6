import { answerOf } from '@tandem/freshness/answer.fixture';
import { type Assignments, everybodyIn, type ServedRollout } from '@tandem/freshness/certificate';
import { ASSIGNMENT } from '@tandem/freshness/certified-read.fixture';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Shadow } from './shadow.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ROLLOUT: ServedRollout = { id: 'r', kind: 'shadow', step: 0, overridden: false };
const SHADOWED: Assignments = {
  ...everybodyIn(ASSIGNMENT),
  rollout: {
    ...{ id: 'r', kind: 'shadow', step: 0, arms: [{ ...ASSIGNMENT, arm: 'candidate' }] },
    plan: { kind: 'shadow', version: 2, share: 1, maxPerSecond: 100 },
    bucketOf: () => 0,
    servedTo: () => ROLLOUT,
  },
};

/** A shadow that stores its sums every second. Its predictor is no longer served, so no pass reads features. */
function createWorld() {
  const world = { assignments: SHADOWED, rests: 0, isStuck: false, sums: 0 };
  const asked = () => Promise.reject(new Error('nothing may be asked'));
  const shadow = new Shadow({
    assignments: () => world.assignments,
    registry: { predictor: async () => undefined, modelVersion: asked },
    features: { readUsers: asked },
    scorer: {
      ...{ ready: asked, score: asked, observe: () => {} },
      async rest() {
        world.rests++;
        if (world.isStuck) throw new Error('a process does not end');
      },
    },
    observer: {
      ...{ counted: () => {}, passed: () => {}, processEnded: () => {}, began: () => {}, ended: () => {} },
      notKept: () => {},
    },
    store: {
      async keep() {
        world.sums++;
        return 0;
      },
    },
    processId: 'p',
    keepEveryMs: 1_000,
    now: () => Date.now(),
  });
  return { world, shadow };
}

it('a shadow stores its sums even if its processes could not be ended, and tries to end them again', async () => {
  const { world, shadow } = createWorld();
  shadow.notice(answerOf({ rollout: ROLLOUT }));
  await vi.advanceTimersByTimeAsync(500);
  world.assignments = everybodyIn(ASSIGNMENT);
  world.isStuck = true;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(world.rests).toBe(2);
  world.isStuck = false;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(world.rests).toBe(3);
  const before = world.sums;
  world.assignments = SHADOWED;
  shadow.notice(answerOf({ rollout: ROLLOUT }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(world.sums).toBe(before + 1);
  await shadow.close();
});
