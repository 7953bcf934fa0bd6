/**
 * The tables, views and functions on which watched features depend (migrations/0074). Event triggers and workers compare
 * the list with the catalogue.
 */
import type pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { findQueryObjects, type Watchable } from './watchable-table.ts';

interface ServedObjects {
  /** The model versions that the arms of the predictor serve, sorted. */
  readonly versions: readonly string[];
  /** The oids of what their feature queries read. */
  readonly views: readonly number[];
  readonly functions: readonly number[];
}

type Served = ReadonlyMap<string, ServedObjects>;

/** Finds what the feature queries of each served predictor read. A predictor whose queries fail is missing. */
export async function findServedObjects(pool: Db, features: pg.Pool): Promise<Served> {
  const rows = await query<{ predictor: string; versions: string[]; queries: string[] }>(pool, {
    text: `select a.predictor, array_agg(distinct v.id::text collate "C") as versions,
        array_agg(distinct v.definition -> 'query' ->> 'sql') as queries
      from tandem.arms a join tandem.model_versions v on v.id = a.model_version_id group by 1`,
  });
  const served = new Map<string, ServedObjects>();
  for (const { predictor, versions, queries } of rows) {
    const found = await Promise.all(queries.map((sql) => findQueryObjects(features, sql))).catch(() => null);
    if (found === null) continue;
    const read = { views: found.flatMap(({ views }) => views), functions: found.flatMap((one) => one.functions) };
    served.set(predictor, { versions, ...read });
  }
  return served;
}

/** SQL over a watch `w` for the model versions whose queries its list should cover. */
const VERSIONS = `array(select distinct a.model_version_id::text collate "C" from tandem.arms a
  where a.predictor = any (w.predictors) order by 1)`;

/**
 * Notes what the watch has missed so far. If its table replaces another of the same name, the watch of that one has
 * missed changes, too, and no longer depends on its table.
 */
export async function beginRepair(db: Db, id: number, { oid, name }: Watchable): Promise<void> {
  await query(db, { text: EXAMINE, values: [[id]] });
  const replaced = await query<{ watch: number }>(db, {
    text: `select r.watch from tandem.watched_relations r join tandem.watched_sources w on w.id = r.watch
      where r.part = 'table' and r.name = $1 and r.object <> $2 and r.watch <> $3`,
    values: [name, oid, id],
  });
  for (const { watch } of replaced) {
    await query(db, { text: `select tandem.fault_watch($1, 'ddl', 'replaced by another table')`, values: [watch] });
    await query(db, { text: 'select tandem.settle_watch($1)', values: [watch] });
    await changeRows(db, statements.deleteFrom('tandem.watched_relations').where('watch', '=', watch));
  }
}

/**
 * Writes the list again, and ends the faults. They stay if the watch still differs from the list, or if a feature query
 * fails, since a later change of what it reads would not be detected.
 */
export async function endRepair(db: Db, id: number, oid: number, served: Served): Promise<void> {
  await listRelations(db, { id, oid }, served);
  await query(db, {
    text: `select tandem.settle_watch(w.id) from tandem.watched_sources w
      where w.id = $1 and w.versions = ${VERSIONS} and not exists (select from tandem.examine_watch(w.id))
        and not exists (select from tandem.watch_faults f where f.watch = w.id and f.reason = 'key' and ${HAS_WRITERS})`,
    values: [id],
  });
}

/** SQL over a watch `w`: whether an open transaction may have written rows whose key failed. A prepared one has no pid. */
const HAS_WRITERS = `exists (
  select from pg_locks l join tandem.watched_relations r on r.watch = w.id and r.object = l.relation and r.part <> 'query'
  where l.database = (select oid from pg_database where datname = current_database())
    and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.granted and l.pid is distinct from pg_backend_pid())`;

async function listRelations(db: Db, { id, oid }: { id: number; oid: number }, served: Served): Promise<void> {
  const [watch] = await query<{ predictors: string[] }>(db, {
    text: 'select predictors from tandem.watched_sources where id = $1',
    values: [id],
  });
  const reads = (watch?.predictors ?? []).flatMap((name) => served.get(name) ?? []);
  await query(db, {
    text: 'select tandem.list_relations($1, $2, $3, $4)',
    values: [id, oid, reads.flatMap(({ views }) => views), reads.flatMap(({ functions }) => functions)],
  });
  const versions = [...new Set(reads.flatMap((one) => one.versions))].sort();
  await query(db, { text: 'update tandem.watched_sources set versions = $2 where id = $1', values: [id, versions] });
}

/** SQL that notes the faults of watches which differ from the catalogue. */
const EXAMINE = `select tandem.fault_watch(w.id, e.reason, e.detail)
  from unnest($1::bigint[]) as w(id) cross join tandem.examine_watch(w.id) e
  where not exists (select from tandem.watch_faults f where f.watch = w.id and f.reason = e.reason)`;

/**
 * Notes the faults of all watches, and lists what newly served feature queries read. Returns how many lists it wrote.
 * Release 0.2.0, after a rollback, watches without a list, and leaves faults of the watches that it removes.
 */
export async function examineWatches(pool: pg.Pool, features: pg.Pool): Promise<number> {
  await query(pool, {
    text: `select tandem.settle_watch(f.watch) from (select distinct watch from tandem.watch_faults) f
      where f.watch not in (select id from tandem.watched_sources)`,
  });
  const watches = await query<{ id: number; oid: number | null; isListed: boolean }>(pool, {
    text: `select w.id, coalesce(r.object, case when w.versions = '{}' then (
          select g.tgrelid from pg_trigger g join pg_class c on c.oid = g.tgrelid
          where g.tgfoid = to_regproc('tandem.watch_' || w.id) and not exists (select from pg_inherits i where i.inhrelid = c.oid)
          order by c.relkind <> 'p', c.oid limit 1) end)::int8 as oid, w.versions = ${VERSIONS} as "isListed"
      from tandem.watched_sources w left join tandem.watched_relations r on r.watch = w.id and r.part = 'table'`,
  });
  await query(pool, {
    text: 'select tandem.add_parts(id) from unnest($1::bigint[]) as w(id)',
    values: [idsOf(watches)],
  });
  await query(pool, { text: EXAMINE, values: [idsOf(watches)] });
  const unlisted = watches.filter(({ isListed, oid }) => !isListed && oid !== null);
  if (unlisted.length === 0) return 0;
  const served = await findServedObjects(pool, features);
  for (const { id, oid } of unlisted) {
    await transaction(pool, async (db) => {
      await query(db, { text: EXAMINE, values: [[id]] });
      await listRelations(db, { id, oid: oid ?? 0 }, served);
    });
  }
  return unlisted.length;
}

function idsOf(watches: readonly { readonly id: number }[]): readonly number[] {
  return watches.map(({ id }) => id);
}
