/**
 * Splits a predictor's users into two halves by a hash of the id, so the split is always the same. One half calibrates
 * an optimised build, the other judges it.
 */

import type { ModelDefinition } from '@tandem/freshness/predictor';
import { asRelation } from '@tandem/offline-store/features/feature-statement';
import { ifInTime, type Pool, readKeys } from './sample-users.ts';

type UserHalf = 'calibration' | 'held out';

/**
 * Milliseconds to read keys. The first statement reads all keys, so that users are chosen from all of them. If it is
 * too slow, a second statement with the same limit reads any keys.
 */
const KEYS_MS = 5_000;

/** Returns user ids up to a limit, spread over the keys; null if they were not read in time. */
export async function usersOfHalf(
  pool: Pool,
  { query: { sql } }: Pick<ModelDefinition, 'query'>,
  half: UserHalf,
  most: number,
): Promise<readonly string[] | null> {
  const hash = 'hashtextextended(f.user_id::text, 0)';
  const keys = (order: string) => `select distinct key from (
      select f.user_id as key from ${asRelation(sql)}
      where f.user_id is not null and ${hash} ${half === 'calibration' ? '<= 0' : '> 0'} ${order} limit ${most}) k order by key`;
  const spread = await ifInTime(readKeys(pool, keys(`order by ${hash}`), KEYS_MS));
  return spread ?? (await ifInTime(readKeys(pool, keys(''), KEYS_MS)));
}
