/**
 * Splits a predictor's users into two halves by a hash of the id, so the split is always the same. One half calibrates
 * an optimised build, the other judges it.
 */

import type { ModelDefinition } from '@tandem/freshness/predictor';
import { type Pool, someUsers, USER_HASH } from './sample-users.ts';

/**
 * Milliseconds to read keys. The first statement reads all keys, so that users are chosen from all of them. If it is
 * too slow, a second statement with the same limit reads any keys.
 */
const KEYS_MS = 5_000;

/** Returns user ids up to a limit, spread over the keys; null if they were not read in time. */
export function usersOfHalf(
  pool: Pool,
  definition: Pick<ModelDefinition, 'query'>,
  half: 'calibration' | 'held out',
  most: number,
): Promise<readonly string[] | null> {
  const where = `f.user_id is not null and ${USER_HASH} ${half === 'calibration' ? '<= 0' : '> 0'}`;
  return someUsers(pool, definition, { most, ms: KEYS_MS, where });
}
