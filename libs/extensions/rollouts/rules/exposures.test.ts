import type { ServedRollout } from '@tandem/freshness/certificate';
import { expect, test } from 'vitest';
import { createExposureLog, type Exposure } from './exposures.ts';

const rollout = (changes: Partial<ServedRollout> = {}): ServedRollout => ({
  id: 'r',
  kind: 'ab',
  step: 0,
  overridden: false,
  ...changes,
});
const served = (userId: string, arm = 'stable') => ({ userId, arm, source: 'batch', contextVersion: 0 }) as const;

/** Returns a log and its exposures, with room for a limited number. */
function log(room = 10) {
  const added: Exposure[] = [];
  let now = 0;
  const add = (exposure: Exposure) => added.length < room && added.push(exposure) > 0;
  return { ...createExposureLog({ now: () => ++now, add }), added };
}

test('only the first answer of each user, step and arm is logged', () => {
  const exposures = log();
  for (const userId of ['1', '2', '1']) exposures.note(rollout(), served(userId));
  exposures.note(rollout(), served('1', 'b'));
  exposures.note(rollout({ step: 1 }), served('1'));
  exposures.note(rollout({ id: 'other' }), served('1'));
  expect(exposures.added.splice(0)).toEqual([
    { rolloutId: 'r', step: 0, ...served('1'), at: 1 },
    { rolloutId: 'r', step: 0, ...served('2'), at: 2 },
    { rolloutId: 'r', step: 0, ...served('1', 'b'), at: 3 },
    { rolloutId: 'r', step: 1, ...served('1'), at: 4 },
    { rolloutId: 'other', step: 0, ...served('1'), at: 5 },
  ]);
  exposures.note(rollout(), served('1'));
  expect(exposures.added).toEqual([]);
});

test('a shadow exposes no users, and users with an override are not exposed', () => {
  const exposures = log();
  exposures.note(rollout({ kind: 'shadow' }), served('1'));
  exposures.note(rollout({ overridden: true }), served('1'));
  expect(exposures.added).toHaveLength(0);
  exposures.note(rollout(), served('1'));
  expect(exposures.added).toHaveLength(1);
});

test('a user without room is logged at a later answer', () => {
  const exposures = log(2);
  for (const userId of ['1', '2', '3']) exposures.note(rollout(), served(userId));
  exposures.added.length = 0;
  for (const userId of ['1', '2', '3']) exposures.note(rollout(), served(userId));
  expect(exposures.added.map(({ userId }) => userId)).toEqual(['3']);
});
