import { HALF_LIFE_MS } from '@tandem/prediction/demand/estimate-budget';
import type pg from 'pg';

/** Makes all counts of reads older by a number of days. */
export async function passDays(pool: pg.Pool, days: number): Promise<void> {
  const halfLives = (days * 86_400_000) / HALF_LIFE_MS;
  await pool.query(
    `update tandem.read_demand set log_weight = log_weight - $1, log_recent = log_recent - 2 * $1::float8,
      log_before = log_before - $1, log_sampled = log_sampled - $1, day = day - $2::int, sampled_day = sampled_day - $2::int`,
    [halfLives, Math.round(days)],
  );
}
