/** Counts all data of a user in the stores, usable or not, for tests of erasure. */
import type { PredictionWorld } from '../prediction-world.fixture.ts';

export interface Stored {
  /** In Postgres: predictions in all generations, entries of the overlay, and the count of reads. */
  readonly rows: number;
  /** In Redis: fields in buckets of all generations. */
  readonly fields: number;
  /** In Redis: entries of the overlay. */
  readonly entries: number;
}

export type StoredOfUser = (userId: string) => Promise<Stored>;

/** Counts a user's data. Ids are short in these tests, so the user's field in Redis is the id itself. */
export function createStoredOfUser({ pool, connection, keys }: PredictionWorld): StoredOfUser {
  return async function storedOf(userId) {
    const { rows } = await pool.query<{ rows: number }>(
      `select ((select count(*) from tandem.predictions where user_id = $1)
        + (select count(*) from tandem.overlay where user_id = $1)
        + (select count(*) from tandem.read_demand where user_id = $1))::int as rows`,
      [userId],
    );
    const all = await keys();
    const buckets = all.filter((key) => key.includes(':g:'));
    const fields = await Promise.all(buckets.map((key) => connection.redis.hexists(key, userId)));
    const entries = all.filter((key) => key.includes(':o:') && key.includes(`}${userId}:`));
    return { rows: rows[0]?.rows ?? 0, fields: fields.filter((found) => found === 1).length, entries: entries.length };
  };
}
