/**
 * What the events' trigger reads of predictors: which event types concern each, and which feature names. An application
 * may have sent an event and not committed yet: its trigger went by the rules of that moment, and after the commit a
 * stored prediction could pass for fresh that this event concerns by the new ones. So the trigger holds a lock, shared,
 * until its transaction ends, and whoever adds a rule takes the same lock exclusively first.
 */
import { setTimeout } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureKind, ModelDefinition } from '@tandem/freshness/predictor';
import type pg from 'pg';
import { type Db, limitStatements, query, sqlState, transaction } from '../sql/database.ts';
import { changeRows, databaseNow, statements } from '../sql/statements.ts';

/** As in migrations/0004, where the trigger takes it. */
const LOCK = '1413567556, 1163284052';
/**
 * While we stand in the lock's queue no new event gets past us. Events of milliseconds let us in at once; for one that
 * is open longer we step out of the queue again, before its senders give up.
 */
const QUEUE_MS = 250;
const PAUSE_MS = 100;
const WAIT_MS = 15_000;
/** A million contexts take 8 s. */
const TOUCH_TIMEOUT_MS = 1_800_000;

/** Ends the transaction, to be begun again. */
class EventsUnderWay extends Error {
  constructor(cause: unknown) {
    super('transactions that sent events are open', { cause });
  }
}

/**
 * A transaction whose work may call `lockEventRules`; begun again for up to `waitMs` while transactions that sent events
 * are open. Rejects with `unavailable`, naming one of them, where that is not enough.
 */
export async function changeEventRules<T>(
  pool: pg.Pool,
  work: (db: pg.PoolClient) => Promise<T>,
  waitMs: number = WAIT_MS,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return await transaction(pool, work);
    } catch (error) {
      if (!(error instanceof EventsUnderWay)) throw error;
      if (performance.now() + PAUSE_MS >= deadline) throw await inTheWay(pool, waitMs, error);
      await setTimeout(PAUSE_MS);
    }
  }
}

/**
 * From here to the transaction's end no event is being applied, and nobody is being erased. The caller holds the
 * assignments' lock and no other. A transaction that sent an event never waits for that one, but may wait for any row after
 * it; an erasure that began before us waits for it with the user's row in hand, and gets it when we step out of the queue.
 */
export async function lockEventRules(db: Db): Promise<void> {
  const [before] = await query<{ limit: string }>(db, { text: `select current_setting('lock_timeout') as limit` });
  const limit = (value: string) => query(db, { text: `select set_config('lock_timeout', $1, true)`, values: [value] });
  await limit(`${QUEUE_MS}ms`);
  await query(db, { text: `select pg_advisory_xact_lock(${LOCK})` }).catch((error: unknown) => {
    throw sqlState(error) === '55P03' ? new EventsUnderWay(error) : error;
  });
  await limit(before?.limit ?? '0');
  await changeRows(db, statements.updateTable('tandem.event_rules').set({ changed_at: databaseNow() }));
}

/**
 * As the trigger does for events, by whoever locks a user's row and then the settings: until the transaction's end nobody
 * who holds those is about to change every user's row.
 */
export async function shareEventRules(db: Db): Promise<void> {
  await query(db, { text: `select pg_advisory_xact_lock_shared(${LOCK})` });
}

/**
 * Says of every user with a context that its last event concerns the predictor: by new rules any of the earlier ones
 * may, and what the log of events would tell is lost after the horizon. One statement in the transaction that changes
 * the rules: until it commits, events wait and reads go by the old rules, so nothing is fresh by half of the new ones.
 */
export async function touchEveryone(db: Db, predictor: string): Promise<void> {
  await limitStatements(db, TOUCH_TIMEOUT_MS);
  await query(db, {
    text: `update tandem.user_contexts set touched = touched || jsonb_build_object($1::text, version)
      where version > coalesce((touched ->> $1)::bigint, 0)`,
    values: [predictor],
    timeoutMs: TOUCH_TIMEOUT_MS,
  });
}

/** The session that has been in the way longest is in the error's detail. */
async function inTheWay(pool: pg.Pool, waitMs: number, cause: unknown): Promise<TandemError> {
  const [oldest] = await query<{ pid: number; application: string; seconds: number }>(pool, {
    text: `select a.pid, a.application_name as application, extract(epoch from clock_timestamp() - a.xact_start)::int as seconds
      from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and (l.classid, l.objid) = (${LOCK})
        and l.database = (select oid from pg_database where datname = current_database())
      order by a.xact_start limit 1`,
  });
  const seconds = waitMs / 1000;
  return new TandemError('unavailable', `The change waited ${seconds} s for transactions that have sent events.`, {
    cause,
    detail: oldest ?? 'it has ended since',
    retryAfter: 5,
    remedy:
      'let the application commit soon after it sends an event, or end its session (pg_stat_activity shows it); then try again',
  });
}

// What an event's data may carry for a predictor: the features of every model version that it may serve without a new
// run. Were it those of the newest alone, a rollback would serve a version whose values the events since have lost.

/** Of one version: its features, where its query says until when an event's value counts. */
function eventFeatures({ query: { columns, asOf, overlayForMs } }: ModelDefinition): Record<string, FeatureKind> {
  if (asOf === null && overlayForMs === null) return {};
  return Object.fromEntries(columns.map(({ name, kind }) => [name, kind]));
}

/** The first feature that one version takes from events as another type of JSON than the other does; undefined: there is none. */
export function conflictingFeature(one: ModelDefinition, other: ModelDefinition): string | undefined {
  const kinds = eventFeatures(other);
  const jsonType = (kind: FeatureKind | undefined) => (kind === 'integer' ? 'number' : kind);
  return Object.entries(eventFeatures(one)).find(
    ([name, kind]) => kinds[name] !== undefined && jsonType(kinds[name]) !== jsonType(kind),
  )?.[0];
}

/** Which rules a predictor would get that it has not: by them, events of before may concern it after all. */
interface NewRules {
  readonly patterns: boolean;
  readonly features: boolean;
}

/**
 * @param definition of a version that is to be served
 * @param patterns LIKE patterns of event types; none where they stay as they are
 */
export async function findNewRules(
  db: Db,
  definition: ModelDefinition,
  patterns: readonly string[] = [],
): Promise<NewRules> {
  const rows = await query<NewRules>(db, {
    text: `select not $3::text[] <@ event_patterns as patterns,
        not $2::text[] <@ array(select jsonb_object_keys(event_features)) as features
      from tandem.predictors where name = $1`,
    values: [definition.predictor, Object.keys(eventFeatures(definition)), patterns],
  });
  return rows[0] ?? { patterns: true, features: true };
}

/**
 * Sets a predictor's event features from the version adopted, those of its arms, and those of generations that are kept
 * for a rollback. Where two differ in a feature's kind, the one that is served counts.
 */
export async function setEventFeatures(db: Db, predictor: string): Promise<void> {
  const [row] = await query<{ features: Record<string, FeatureKind>; differs: boolean }>(db, {
    text: `select n.features, n.features <> p.event_features as differs
      from tandem.predictors p, lateral (
        select coalesce(jsonb_object_agg(c.name, c.kind order by v.served, v.adopted, v.number), '{}') as features
        from (
          select number, definition -> 'query' as query, id = p.adopted_version_id as adopted,
            exists (select from tandem.arms a where a.predictor = p.name and a.model_version_id = m.id) as served,
            exists (select from tandem.generations g where g.predictor = p.name and g.model_version_id = m.id
              and g.state <> 'dropped') as kept
          from tandem.model_versions m where m.predictor = p.name
        ) v, jsonb_to_recordset(v.query -> 'columns') as c(name text, kind text)
        where (v.served or v.adopted or v.kept) and coalesce(v.query ->> 'asOf', v.query ->> 'overlayForMs') is not null
      ) n where p.name = $1`,
    values: [predictor],
  });
  // Even an update of no row raises the revision, at which every process loads its predictors again.
  if (!row?.differs) return;
  const known = statements.updateTable('tandem.predictors').where('name', '=', predictor);
  await changeRows(db, known.set({ event_features: JSON.stringify(row.features) }));
}

// A config's glob patterns of event types (`order.*`, `?`) as the LIKE patterns that the events' trigger compares with.

/** `*` is any text, `?` one character; everything else stands for itself. */
export function likePatterns(globs: readonly string[]): string[] {
  return globs.map((glob) =>
    glob
      .replaceAll(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
      .replaceAll('?', '_'),
  );
}
