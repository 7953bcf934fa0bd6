/** Reads which tables are watched, whether they have all triggers, and which declared tables are not watched. */
import type { WatchPolicy } from '@tandem/freshness/predictor';
import { type Db, query } from '../sql/database.ts';

export interface WatchedSource {
  readonly id: number;
  /** The oid of the table with the triggers; null if it was dropped. */
  readonly oid: number | null;
  /** The current name of the table, `schema.table`; `watchedAs` if it was dropped. */
  readonly name: string;
  /** The name of the table when it was watched, `schema.table`. */
  readonly watchedAs: string;
  readonly key: string | null;
  readonly columns: readonly string[] | null;
  readonly predictors: readonly string[];
  readonly maxUsers: number;
  /**
   * Triggers that are missing, disabled, or no longer fire in sessions that replay changes, as `table: trigger`; for a
   * dropped table only the table.
   */
  readonly broken: readonly string[];
  /** Why the watch may have missed changes. While it has a fault, no stored prediction of its predictors is fresh. */
  readonly faults: readonly string[];
  /** Whether an earlier release made the watch, whose key looks up other tables before the commit. */
  readonly isLookedUpEarly: boolean;
}

export function listWatchedSources(db: Db): Promise<readonly WatchedSource[]> {
  return query<WatchedSource>(db, {
    text: `select w.id, t.oid::int8 as oid, coalesce(t.name, w.name) as name, w.name as "watchedAs", w.key, w.columns,
        w.predictors, w.max_users as "maxUsers",
        case when t.oid is null then array[w.name] else array(
          select format('%s: %s', m.member::regclass, m.trigger) from tandem.missing_triggers(w.id, t.oid) m order by 1) end as broken,
        array(select distinct f.detail from tandem.watch_faults f where f.watch = w.id order by 1) as faults,
        coalesce(w.key ~* '\\mselect\\M' and to_regproc('tandem.watch_' || w.id || '_users') is null, false) as "isLookedUpEarly"
      from tandem.watched_sources w
      -- Partitions have the triggers too; the watched table has no parent. A detached partition keeps the triggers.
      left join lateral (
        select c.oid, format('%I.%I', n.nspname, c.relname) as name
        from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where g.tgfoid = to_regproc('tandem.watch_' || w.id)
          and not exists (select from pg_inherits i where i.inhrelid = c.oid)
        order by c.relkind <> 'p', c.oid limit 1) t on true
      order by 3, 1`,
  });
}

/** A table that `features.watch` of a config names. */
export interface DeclaredWatch extends Pick<WatchPolicy, 'table' | 'key'> {
  readonly predictor: string;
  /** The oid of the table; null if there is no such table. */
  readonly oid: number | null;
}

/** Returns the tables that the adopted config declares. */
export async function listDeclaredWatches(db: Db): Promise<readonly DeclaredWatch[]> {
  const declared = await query<Omit<DeclaredWatch, 'oid'>>(db, {
    text: `select p.name as predictor, w ->> 'table' as table, w ->> 'key' as key
      from tandem.predictors p cross join jsonb_array_elements(p.policy -> 'watch') w
      where p.active order by 1, 2`,
  });
  return withOids(db, declared);
}

/** Returns the tables that a config declares for a predictor. */
export function resolveWatches(
  db: Db,
  predictor: string,
  watches: readonly WatchPolicy[],
): Promise<readonly DeclaredWatch[]> {
  return withOids(
    db,
    watches.map(({ table, key }) => ({ predictor, table, key })),
  );
}

async function withOids(db: Db, declared: readonly Omit<DeclaredWatch, 'oid'>[]): Promise<readonly DeclaredWatch[]> {
  const oids = await findTableOids(
    db,
    declared.map(({ table }) => table),
  );
  return declared.map((one, i) => ({ ...one, oid: oids[i] ?? null }));
}

/**
 * Returns the oid of each table; null if there is none. It reads only the catalog: `to_regclass` fails if the login may
 * not use the schema, as a worker's login may not. A name without a schema is first looked up along the search path.
 */
export async function findTableOids(db: Db, tables: readonly string[]): Promise<readonly (number | null)[]> {
  const rows = await query<{ oid: number | null }>(db, {
    text: `select (
        select c.oid::int8 from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relname = w.parts[cardinality(w.parts)] and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and coalesce(n.nspname = w.parts[cardinality(w.parts) - 1], true)
        order by array_position(current_schemas(false), n.nspname), c.oid limit 1) as oid
      from (select parse_ident(name) as parts, position
        from unnest($1::text[]) with ordinality as t(name, position)) w
      order by w.position`,
    values: [tables],
  });
  return rows.map(({ oid }) => oid);
}

/** Returns whether changes of the table reach the predictor. */
export function isWatched({ predictor, oid }: DeclaredWatch, watched: readonly WatchedSource[]): boolean {
  return watched.some((one) => oid !== null && one.oid === oid && isWhole(one) && one.predictors.includes(predictor));
}

function isWhole({ broken }: WatchedSource): boolean {
  return broken.length === 0;
}

/** Counts by predictor the declared tables that are not watched, and the watched tables that lack a trigger. */
export async function countMissingWatches(db: Db) {
  const watched = await listWatchedSources(db);
  const missing = new Map<string, Set<string>>();
  const add = (predictor: string, table: string) =>
    missing.set(predictor, (missing.get(predictor) ?? new Set()).add(table));
  for (const one of await listDeclaredWatches(db)) {
    if (!isWatched(one, watched)) add(one.predictor, one.oid === null ? one.table : `${one.oid}`);
  }
  for (const one of watched.filter((source) => source.oid !== null && !isWhole(source))) {
    for (const predictor of one.predictors) add(predictor, `${one.oid}`);
  }
  return [...missing].map(([predictor, tables]) => ({ predictor, tables: tables.size }));
}

/** Counts the watches with a fault, by predictor and reason. */
export function countFaultedWatches(db: Db) {
  return query<{ predictor: string; reason: string; watches: number }>(db, {
    text: 'select predictor, reason, count(distinct watch) as watches from tandem.watch_faults group by 1, 2',
  });
}

/** Returns whether event triggers detect changes of the schema in their transaction. */
export async function detectsSchemaChanges(db: Db): Promise<boolean> {
  const found = await query(db, {
    text: `select from pg_event_trigger where evtname in ('tandem_ddl', 'tandem_drop') and evtenabled = 'A'`,
  });
  return found.length === 2;
}
