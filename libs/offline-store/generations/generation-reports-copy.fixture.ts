import type { Pool } from 'pg';
import { transaction } from '../sql/database.ts';
import { createPartition, partitionOf } from '../sql/partition.ts';

export const FIELD = { name: 'rank', output: 'rank', type: 'int32', width: null, index: 0 } as const;

/**
 * Inserts the rows of users 1 to n, with scores by their id and an offset. int4send is big-endian, so the bytes are
 * reversed.
 */
export async function fillGeneration(pool: Pool, id: string, users: number, more: number): Promise<void> {
  await transaction(pool, (db) => createPartition(db, id));
  await pool.query(`insert into ${partitionOf(id)}
    select '${id}', n::text, 0, now(), substr(b, 4, 1) || substr(b, 3, 1) || substr(b, 2, 1) || substr(b, 1, 1)
    from generate_series(1, ${users}) n, int4send(n + ${more}) b`);
}
