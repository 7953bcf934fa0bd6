/** A generation's partition of tandem.predictions: named by its id, made at planning, indexed at the end, dropped whole. */
import { type Db, query } from './database.ts';

/**
 * The partition's own name. Reads that serve go to it directly, so that attaching and dropping others never makes them
 * wait. Statements with a feature query read tandem.predictions by generation: their login may read that table alone.
 */
export function partitionOf(generationId: string): string {
  return `tandem.generation_${generationId.replaceAll('-', '')}`;
}

/** Milliseconds to wait for the parent table; the caller tries again. A cancellation of the run waits as long. */
const LOCK_MS = 1_000;

/** Belongs to the transaction that makes the generation, at its end: it locks the parent until the commit. */
export async function createPartition(db: Db, generationId: string): Promise<void> {
  const partition = partitionOf(generationId);
  // Without this, autovacuum reads inserted rows several times while the run writes them, to no use: partitions are dropped.
  const settings = 'autovacuum_vacuum_insert_threshold = -1';
  await query(db, {
    text: `create table ${partition} (like tandem.predictions including defaults) with (${settings})`,
  });
  await query(db, { text: `set local lock_timeout = ${LOCK_MS}` });
  await query(db, {
    text: `alter table tandem.predictions attach partition ${partition} for values in ('${generationId}')`,
  });
}

/** Rejects where the index cannot be unique, with SQLSTATE 23505. Safe to repeat, also at the same time. */
export async function indexPartition(db: Db, generationId: string, timeoutMs: number): Promise<void> {
  const name = `generation_${generationId.replaceAll('-', '')}`;
  // Postgres lets two build the same index at once, and fails one of them.
  await query(db, { text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))', values: [name], timeoutMs });
  await query(db, {
    text: `create unique index if not exists ${name}_user on ${partitionOf(generationId)} (user_id)`,
    timeoutMs,
  });
}

/**
 * Takes the locks that dropping a partition needs. A transaction that locks the assignments too calls this first: it waits for
 * the statements that read the table, of which a plan's takes minutes. Rejects with SQLSTATE 55P03 where that is too long.
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

/** Detaches and drops in the caller's transaction; rejects with SQLSTATE 55P03 where the parent stays locked. */
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
