/** Inserts generations and erasures into Postgres with one statement each, without a run that computes them. */
import { createPartition, partitionOf } from '@tandem/offline-store/sql/partition';
import { FIRST_USER } from '../predictors.ts';
import type { BenchServers } from '../service.ts';

type Pool = BenchServers['pool'];

interface StoredRun {
  readonly predictor: string;
  readonly rows: number;
  /** `publishing`: all chunks are committed, and the generation is not published yet. */
  readonly state: 'publishing' | 'done' | 'failed';
  /** The time since the end of the run, as an SQL interval. */
  readonly endedAgo?: string;
}

export interface StoredGeneration {
  readonly id: string;
  readonly number: number;
  readonly runId: string;
}

/** Inserts a run of all users with one chunk, and its generation of `rows` users from FIRST_USER on. */
export async function storeGeneration(pool: Pool, run: StoredRun): Promise<StoredGeneration> {
  const { predictor, rows, state, endedAgo } = run;
  const generationState = state === 'done' ? 'published' : 'building';
  const { rows: found } = await pool.query<StoredGeneration>(
    `with run as (
        insert into tandem.runs (predictor, scope, model_version_id, overlay_floor, state, reason, history, users_expected,
          chunk_count, started_at, finished_at)
        select $1, 'all', model_version_id, overlay_floor, $2, 'law', tandem.current_history(), $3, 1, clock_timestamp(),
          clock_timestamp() - $4::interval
        from tandem.arms where predictor = $1 and name = 'stable' returning id, model_version_id
      ), chunk as (
        insert into tandem.chunks (run_id, no, state, scored, erased) select id, 0, 'committed', $3, 0 from run
      )
      insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets, state, published_at, users)
      select $1, 1 + (select coalesce(max(number), 0) from tandem.generations where predictor = $1), model_version_id, id,
        tandem.current_history(), greatest(1, $3::int / 48), $5, case $5 when 'published' then clock_timestamp() end, $3
      from run returning id, number, run_id as "runId"`,
    [predictor, state, rows, endedAgo ?? null, generationState],
  );
  const [generation] = found;
  if (!generation) throw new Error(`${predictor} was not adopted`);
  await createPartition(pool, generation.id);
  await pool.query(
    `insert into ${partitionOf(generation.id)} (generation_id, user_id, context_version, computed_at, outputs)
      select $1, (${FIRST_USER} + n)::text, 0, clock_timestamp(), '\\x00000000' from generate_series(0, $2 - 1) n`,
    [generation.id, rows],
  );
  return generation;
}

/** Inserts tombstones of every `every`-th user from FIRST_USER on. No sweep of these tombstones is due. */
export async function storeErasures(pool: Pool, count: number, every: number): Promise<void> {
  await pool.query(
    `with numbered as (
        select erasures + n as number, (${FIRST_USER} + n * ${every})::text as user_id
        from tandem.settings, generate_series(1, ${count}) n
      ), contexts as (
        insert into tandem.user_contexts (user_id, version, deleted_version) select user_id, 1, 1 from numbered
      )
      insert into tandem.erasures (number, user_id, deleted_version) select number, user_id, 1 from numbered`,
  );
  await pool.query('update tandem.settings set erasures = (select max(number) from tandem.erasures)');
  await pool.query('vacuum analyze tandem.erasures, tandem.user_contexts');
}
