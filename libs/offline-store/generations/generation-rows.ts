/** Reads rows of tandem.generations, and the predictions of a generation in pages. */
import type { Generation } from '@tandem/prediction/runs/generations';
import type { StoredRow } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { type Db, epochMs, query } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { fetchRows, statements } from '../sql/statements.ts';

/**
 * SQL for the time at which the run of generation `g` was planned. The start of a generation with a base is that of the
 * base.
 */
export const PLANNED_AT = `coalesce((select started_at from tandem.runs where id = g.run_id and g.base_id is not null), g.started_at)`;

const COLUMNS = `
  g.id, g.predictor, g.number, g.model_version_id as "modelVersionId", v.number as "modelNumber", g.run_id as "runId",
  g.state, g.history, g.buckets, ${epochMs('g.started_at')} as "startedAt", ${epochMs(PLANNED_AT)} as "plannedAt", g.published_at as "publishedAt", g.users,
  g.base_id as "baseId", b.number as "baseNumber", g.users_left as "usersLeft",
  exists (select from tandem.arms a where a.generation_id = g.id) as "inForce",
  exists (select from tandem.stable_history h where h.model_version_id = g.model_version_id) as "wasStable",
  exists (select from tandem.stable_history h where h.generation_id = g.id) as "servedStable"`;

const FROM = `from tandem.generations g join tandem.model_versions v on v.id = g.model_version_id
  left join tandem.generations b on b.id = g.base_id`;

const SELECT = `select ${COLUMNS} ${FROM}`;

export async function findGeneration(db: Db, id: string): Promise<Generation | undefined> {
  return (await query<Generation>(db, { text: `${SELECT} where g.id = $1`, values: [id] }))[0];
}

/** Lists the generations of one predictor, newest first. */
export async function listGenerations(db: Db, predictor: string): Promise<readonly Generation[]> {
  return query<Generation>(db, {
    text: `${SELECT} where g.predictor = $1 order by g.number desc`,
    values: [predictor],
  });
}

/** Lists the generations of active predictors' arms, and their bases. */
export async function listInForce(db: Db): Promise<readonly Generation[]> {
  return query<Generation>(db, {
    text: `${SELECT} where exists (
        select from tandem.arms a join tandem.predictors p on p.name = a.predictor and p.active
        join tandem.generations s on s.id = a.generation_id where g.id in (s.id, s.base_id)
      ) order by g.predictor, g.number`,
  });
}

/**
 * Returns all generations that are not dropped, with the facts that retention needs.
 * @param predictor default: all
 */
export async function listCandidates(db: Db, predictor?: string): Promise<readonly RetentionCandidate[]> {
  return query<RetentionCandidate>(db, {
    text: `select ${COLUMNS},
        exists (select from tandem.arms a where a.predictor = g.predictor and a.model_version_id = g.model_version_id) as "isServed",
        ${elapsedMs('coalesce(g.left_at, g.published_at)')} as "lastUsedMs", ${elapsedMs('r.finished_at')} as "runEndedMs"
      ${FROM} join tandem.runs r on r.id = g.run_id
      where g.state <> 'dropped' and ($1::text is null or g.predictor = $1) order by g.predictor, g.number`,
    values: [predictor ?? null],
  });
}

function elapsedMs(expression: string): string {
  return `(extract(epoch from clock_timestamp() - ${expression}) * 1000)::float8`;
}

/** The bytes of a user in Redis in addition to the outputs: measured 24 with ids of 8 digits, 38 with 36 characters. */
const BYTES_A_USER = 32;

/**
 * Returns the ids of generations that the online store may hold:
 * - generations that are being built or that an arm is assigned, and the bases of both
 * - generations kept for a rollback, most recently used first, as many as fit into `rollbackBytes`
 *
 * The others stay only in Postgres. After a rollback to one of them, Postgres answers reads until it is loaded again.
 */
export async function listOnlineGenerations(db: Db, rollbackBytes: number): Promise<readonly string[]> {
  const rows = await query<{ id: string }>(db, {
    text: `select id from (
        select g.id, a.arms > 0 or g.state = 'building' as needed,
          sum(case when a.arms > 0 or g.state = 'building' then 0 else g.users * (${BYTES_A_USER} + o.bytes) end)
            over (order by coalesce(g.left_at, g.published_at) desc nulls first, g.number desc) as bytes
        from tandem.generations g
        join tandem.model_versions v on v.id = g.model_version_id
        cross join lateral (
          select count(*) as arms from tandem.generations s left join tandem.arms on generation_id = s.id
          where s.id = g.id and generation_id is not null
            or s.base_id = g.id and (generation_id is not null or s.state = 'building')) a
        cross join lateral (
          select 4 * sum(coalesce((f ->> 'width')::int, 1)) as bytes from jsonb_array_elements(v.definition -> 'outputs') f) o
        where g.state <> 'dropped') sized
      where needed or bytes <= $1`,
    values: [rollbackBytes],
  });
  return rows.map((row) => row.id);
}

/** Returns by model version a user of the generation that an arm of this version is assigned. */
export async function findScoredUsers(
  db: Db,
  modelVersionIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const arms = statements
    .selectFrom('tandem.arms')
    .select(['model_version_id', 'generation_id'])
    .where('model_version_id', 'in', modelVersionIds)
    .where('generation_id', 'is not', null);
  const users = new Map<string, string>();
  for (const arm of await fetchRows(db, arms)) {
    if (!arm.generation_id) continue;
    const text = `select user_id as "userId" from ${partitionOf(arm.generation_id)} limit 1`;
    const [user] = await query<{ userId: string }>(db, { text });
    if (user) users.set(arm.model_version_id, user.userId);
  }
  return users;
}

/** Yields all predictions of a generation by user id, page by page, so that memory stays constant. */
export async function* readPages(
  pool: pg.Pool,
  generation: Generation,
  pageSize: number,
): AsyncIterable<readonly StoredRow[]> {
  let after = '';
  for (;;) {
    const rows = await query<StoredRow>(pool, {
      text: `select user_id as "userId", context_version as "contextVersion", ${epochMs('computed_at')} as "computedAt", outputs
        from ${partitionOf(generation.id)} where user_id > $1 order by user_id limit $2`,
      values: [after, pageSize],
    });
    if (rows.length > 0) yield rows;
    if (rows.length < pageSize) return;
    after = rows[rows.length - 1]?.userId ?? '';
  }
}

// A pure rule over the list decides which generations are kept.

export interface RetentionCandidate extends Generation {
  /** Whether an arm has its model version. */
  readonly isServed: boolean;
  /** Milliseconds since an arm last used it, else since it was published; null if it was never published. */
  readonly lastUsedMs: number | null;
  /** Milliseconds since the run that builds it ended; null while it is not finished. */
  readonly runEndedMs: number | null;
}

/** The number of generations of a model version that are kept before the current one, for a rollback. */
const BEFORE = 2;
/**
 * The number of most recently used model versions of a predictor that are kept in addition to the served ones, for a
 * rollback.
 */
const VERSIONS = 5;
const VERSION_MS = 30 * 24 * 3_600_000;
const UNPUBLISHED_MS = 24 * 3_600_000;

/**
 * Selects the generations to drop. For each kept model version, the newest three generations stay, and the current
 * generation with the two before it. (After a rollback, the current generation is not the newest.) Kept versions are
 * those of arms and, for each predictor, the five other versions used most recently, for 30 days. An unpublished
 * generation stays for a day, since its run may be resumed. A base stays as long as a generation names it.
 */
export function retiredGenerations(all: readonly RetentionCandidate[]): readonly RetentionCandidate[] {
  const kept = new Set<string>();
  const published = Map.groupBy(
    all.filter((one) => one.state === 'published'),
    (one) => one.predictor,
  );
  for (const group of published.values()) {
    for (const version of keptVersions(group)) for (const one of keptOf(version)) kept.add(one.id);
  }
  const retired = all.filter((one) => !one.inForce && !kept.has(one.id) && isOver(one));
  // A base is dropped after the generations above it.
  const bases = new Set(all.map(({ baseId }) => baseId));
  return retired.filter(({ id }) => !bases.has(id));
}

/**
 * Returns the generations of each kept model version.
 * @param published the published generations of one predictor
 */
function keptVersions(published: readonly RetentionCandidate[]): readonly (readonly RetentionCandidate[])[] {
  const versions = [...Map.groupBy(published, (one) => one.modelVersionId).values()];
  const served = versions.filter(([first]) => first?.isServed);
  const others = versions
    .filter(([first]) => !first?.isServed)
    .map((version) => ({ version, lastUsedMs: Math.min(...version.map((one) => one.lastUsedMs ?? 0)) }))
    .filter(({ lastUsedMs }) => lastUsedMs < VERSION_MS)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs)
    .slice(0, VERSIONS);
  return [...served, ...others.map(({ version }) => version)];
}

/**
 * Returns the kept generations of a model version.
 * @param version the published generations of one model version
 */
function keptOf(version: readonly RetentionCandidate[]): readonly RetentionCandidate[] {
  const newestFirst = version.toSorted((a, b) => b.number - a.number);
  const inForce = newestFirst.findIndex((one) => one.inForce);
  return [0, Math.max(0, inForce)].flatMap((start) => newestFirst.slice(start, start + 1 + BEFORE));
}

function isOver({ state, runEndedMs }: RetentionCandidate): boolean {
  switch (state) {
    case 'published':
      return true;
    case 'building':
      return runEndedMs !== null && runEndedMs > UNPUBLISHED_MS;
    case 'dropped':
      return false;
  }
}
