/**
 * Splits a predictor's users into two halves by a hash of the id, the same each time: one half calibrates an optimised
 * build, the other judges it. No user is in both.
 */

import type { ModelDefinition } from '@tandem/freshness/predictor';
import { asRelation } from '@tandem/offline-store/features/feature-statement';
import { ifInTime, type Pool, readKeys } from './sample-users.ts';

type UserHalf = 'calibration' | 'held out';

/** For the keys, which to spread out takes a look at all of them; and again for any, where that took longer. */
const KEYS_MS = 5_000;

/** Returns user ids up to a limit, spread over the keys; null: not read in time. */
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
