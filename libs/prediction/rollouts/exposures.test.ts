import type { ServedRollout } from '@tandem/freshness/certificate';
import { expect, test } from 'vitest';
import { createExposureLog } from './exposures.ts';

const rollout = (changes: Partial<ServedRollout> = {}): ServedRollout => ({
  ...{ id: 'r', kind: 'ab', step: 0, overridden: false },
  ...changes,
});
const served = (userId: string, arm = 'stable') => ({ userId, arm, source: 'batch', contextVersion: 0 }) as const;

function log(maxWaiting?: number) {
  let now = 0;
  return createExposureLog({ now: () => ++now, ...(maxWaiting === undefined ? {} : { maxWaiting }) });
}

test('the first answer of a user, step and arm is logged, and no other', () => {
  const exposures = log();
  for (const userId of ['1', '2', '1']) exposures.note(rollout(), served(userId));
  exposures.note(rollout(), served('1', 'b'));
  exposures.note(rollout({ step: 1 }), served('1'));
  exposures.note(rollout({ id: 'other' }), served('1'));
  expect(exposures.take(10)).toEqual([
    { rolloutId: 'r', step: 0, ...served('1'), at: 1 },
    { rolloutId: 'r', step: 0, ...served('2'), at: 2 },
    { rolloutId: 'r', step: 0, ...served('1', 'b'), at: 3 },
    { rolloutId: 'r', step: 1, ...served('1'), at: 4 },
    { rolloutId: 'other', step: 0, ...served('1'), at: 5 },
  ]);
  exposures.note(rollout(), served('1'));
  expect(exposures.waiting()).toBe(0);
});

test('a shadow serves nobody, and who was put into an arm by hand is no part of the test', () => {
  const exposures = log();
  exposures.note(rollout({ kind: 'shadow' }), served('1'));
  exposures.note(rollout({ overridden: true }), served('1'));
  expect(exposures.waiting()).toBe(0);
  exposures.note(rollout(), served('1'));
  expect(exposures.waiting()).toBe(1);
});

test('what finds no place is counted, and logged at a later answer; what is given back is taken first', () => {
  const exposures = log(2);
  for (const userId of ['1', '2', '3']) exposures.note(rollout(), served(userId));
  expect([exposures.waiting(), exposures.dropped()]).toEqual([2, 1]);
  const first = exposures.take(1);
  expect(first.map(({ userId }) => userId)).toEqual(['1']);
  exposures.note(rollout(), served('3'));
  exposures.putBack(first);
  expect(exposures.take(5).map(({ userId }) => userId)).toEqual(['1', '2', '3']);
});
