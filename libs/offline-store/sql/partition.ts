/**
 * A generation's partition of tandem.predictions: named by the generation's id, created at the plan, indexed at the
 * end, and dropped as a whole.
 */
import { type Db, query } from './database.ts';

/**
 * Returns the partition's name. Reads that serve use the partition directly, so that they never wait when other
 * partitions are attached or dropped. Statements with a feature query read tandem.predictions by generation, since
 * their login may read only that table.
 */
export function partitionOf(generationId: string): string {
  return `tandem.generation_${generationId.replaceAll('-', '')}`;
}

/**
 * The milliseconds to wait for the parent table, after which the caller retries. A cancellation of the run may wait as
 * long.
 */
const LOCK_MS = 1_000;

/**
 * Creates the partition, at the end of the transaction that inserts the generation, since it locks the parent until the
 * commit.
 */
export async function createPartition(db: Db, generationId: string): Promise<void> {
  const partition = partitionOf(generationId);
  // Without this, autovacuum would read inserted rows several times while the run writes them, which is useless for
  // partitions that are dropped as a whole.
  const settings = 'autovacuum_vacuum_insert_threshold = -1';
  await query(db, {
    text: `create table ${partition} (like tandem.predictions including defaults) with (${settings})`,
  });
  await query(db, { text: `set local lock_timeout = ${LOCK_MS}` });
  await query(db, {
    text: `alter table tandem.predictions attach partition ${partition} for values in ('${generationId}')`,
  });
}

/** Builds the index. Rejects with SQLSTATE 23505 if it cannot be unique. Safe to repeat, even concurrently. */
export async function indexPartition(db: Db, generationId: string, timeoutMs: number): Promise<void> {
  const name = `generation_${generationId.replaceAll('-', '')}`;
  // If two build the same index concurrently, Postgres fails one of them.
  await query(db, { text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))', values: [name], timeoutMs });
  await query(db, {
    text: `create unique index if not exists ${name}_user on ${partitionOf(generationId)} (user_id)`,
    timeoutMs,
  });
}

/**
 * Acquires the locks that dropping a partition needs. A transaction that also locks the assignments must call this
 * first: it waits for statements that read the table, and the statement of a plan takes minutes. Rejects with SQLSTATE
 * 55P03 after the time limit.
 */
export async function lockPartition(db: Db, generationId: string): Promise<void> {
  const partition = partitionOf(generationId);
  const found = await query<{ relation: string | null }>(db, {
    text: 'select to_regclass($1) as relation',
    values: [partition],
  });
  if (!found[0]?.relation) return;
  await query(db, { text: `set local lock_timeout = ${LOCK_MS}` });
  await query(db, { text: `lock table only tandem.predictions, ${partition} in access exclusive mode` });
}

/**
 * Detaches and drops the partition in the caller's transaction. Rejects with SQLSTATE 55P03 if the parent stays locked.
 */
export async function dropPartition(db: Db, generationId: string): Promise<void> {
  const partition = partitionOf(generationId);
  const found = await query<{ attached: boolean }>(db, {
    text: 'select relispartition as attached from pg_class where oid = to_regclass($1)',
    values: [partition],
  });
  if (!found[0]) return;
  await query(db, { text: `set local lock_timeout = ${LOCK_MS}` });
  if (found[0].attached) await query(db, { text: `alter table tandem.predictions detach partition ${partition}` });
  await query(db, { text: `drop table ${partition}` });
}
