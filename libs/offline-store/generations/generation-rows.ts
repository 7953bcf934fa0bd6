/** Rows of tandem.generations as the domain's generations, and their predictions in pages. */
import type { Generation } from '@tandem/prediction/runs/generations';
import type { StoredRow } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { epochMs } from '../sql/epoch-ms.ts';
import { partitionOf } from '../sql/partition.ts';
import type { RetentionCandidate } from './retired-generations.ts';

const COLUMNS = `
  g.id, g.predictor, g.number, g.model_version_id as "modelVersionId", v.number as "modelNumber", g.run_id as "runId",
  g.state, g.history, g.buckets, ${epochMs('g.started_at')} as "startedAt", g.published_at as "publishedAt", g.users,
  exists (select from tandem.arms a where a.generation_id = g.id) as "inForce",
  exists (select from tandem.stable_history h where h.model_version_id = g.model_version_id) as "wasStable",
  exists (select from tandem.stable_history h where h.generation_id = g.id) as "servedStable"`;

const SELECT = `select ${COLUMNS} from tandem.generations g join tandem.model_versions v on v.id = g.model_version_id`;

type Row = Generation & Record<string, unknown>;

export async function findGeneration(db: Db, id: string): Promise<Generation | undefined> {
  return (await query<Row>(db, { text: `${SELECT} where g.id = $1`, values: [id] }))[0];
}

/** Of one predictor, newest first. */
export async function listGenerations(db: Db, predictor: string): Promise<readonly Generation[]> {
  return query<Row>(db, { text: `${SELECT} where g.predictor = $1 order by g.number desc`, values: [predictor] });
}

/** Those that the arm of an active predictor points at. */
export async function listInForce(db: Db): Promise<readonly Generation[]> {
  return query<Row>(db, {
    text: `${SELECT} join tandem.arms a on a.generation_id = g.id join tandem.predictors p on p.name = a.predictor and p.active
      order by g.predictor`,
  });
}

/** All that are not dropped, with what retention judges them by. */
export async function listCandidates(db: Db): Promise<readonly RetentionCandidate[]> {
  return query<RetentionCandidate & Record<string, unknown>>(db, {
    text: `select ${COLUMNS},
        exists (select from tandem.arms a where a.predictor = g.predictor and a.model_version_id = g.model_version_id) as "isServed",
        ${elapsedMs('coalesce(g.left_at, g.published_at)')} as "lastUsedMs", ${elapsedMs('r.finished_at')} as "runEndedMs"
      from tandem.generations g join tandem.model_versions v on v.id = g.model_version_id join tandem.runs r on r.id = g.run_id
      where g.state <> 'dropped' order by g.predictor, g.number`,
  });
}

function elapsedMs(expression: string): string {
  return `(extract(epoch from clock_timestamp() - ${expression}) * 1000)::float8`;
}

/** Of a user in Redis, beside the outputs: measured 24 bytes with ids of 8 digits, 38 with 36 characters. */
const BYTES_A_USER = 32;

/**
 * Ids of those that the online store may hold: what is being built, what an arm points at, and of those that are kept for a
 * rollback the ones that were used last, as far as they fit into so many bytes. The others stay in Postgres: a rollback to
 * one is answered from there until it is loaded again.
 */
export async function listOnlineGenerations(db: Db, rollbackBytes: number): Promise<readonly string[]> {
  const rows = await query<{ id: string }>(db, {
    text: `select id from (
        select g.id, a.arms > 0 or g.state = 'building' as needed,
          sum(case when a.arms > 0 or g.state = 'building' then 0 else g.users * (${BYTES_A_USER} + o.bytes) end)
            over (order by coalesce(g.left_at, g.published_at) desc nulls first, g.number desc) as bytes
        from tandem.generations g
        join tandem.model_versions v on v.id = g.model_version_id
        cross join lateral (select count(*) as arms from tandem.arms where generation_id = g.id) a
        cross join lateral (
          select 4 * sum(coalesce((f ->> 'width')::int, 1)) as bytes from jsonb_array_elements(v.definition -> 'outputs') f) o
        where g.state <> 'dropped') sized
      where needed or bytes <= $1`,
    values: [rollbackBytes],
  });
  return rows.map((row) => row.id);
}

/** Returns a user of the generation that an arm of this model version points at; undefined where there is none. */
export async function findScoredUser(db: Db, modelVersionId: string): Promise<string | undefined> {
  const [arm] = await query<{ generationId: string }>(db, {
    text: `select generation_id as "generationId" from tandem.arms
      where model_version_id = $1 and generation_id is not null limit 1`,
    values: [modelVersionId],
  });
  if (!arm) return undefined;
  const text = `select user_id as "userId" from ${partitionOf(arm.generationId)} limit 1`;
  return (await query<{ userId: string }>(db, { text }))[0]?.userId;
}

/** All predictions of a generation by user id; it is read page by page, so memory stays flat. */
export async function* readPages(
  pool: pg.Pool,
  generation: Generation,
  pageSize: number,
): AsyncIterable<readonly StoredRow[]> {
  let after = '';
  for (;;) {
    const rows = await query<StoredRow & Record<string, unknown>>(pool, {
      text: `select user_id as "userId", context_version as "contextVersion", ${epochMs('computed_at')} as "computedAt", outputs
        from ${partitionOf(generation.id)} where user_id > $1 order by user_id limit $2`,
      values: [after, pageSize],
    });
    if (rows.length > 0) yield rows;
    if (rows.length < pageSize) return;
    after = rows[rows.length - 1]?.userId ?? '';
  }
}
