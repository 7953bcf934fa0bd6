/**
 * The tables that a feature query reads. Postgres itself says which: the query becomes a temporary view, whose
 * dependencies name every table and column, through other views as well. What a function reads inside stays unknown.
 */
import type pg from 'pg';
import { parseOnly } from '../features/feature-session.ts';
import { asRelation } from '../features/feature-statement.ts';
import { type Db, query } from '../sql/database.ts';

export interface QueryTable {
  readonly oid: number;
  /** `schema.table`, quoted where SQL needs it. */
  readonly name: string;
  /** Of what a trigger can be on: `table`. */
  readonly kind: 'table' | 'materialized view' | 'foreign table' | 'other';
  /** The columns that are read by name. Postgres does not say where a whole row is read. */
  readonly columns: readonly string[];
}

export interface QueryTables {
  readonly tables: readonly QueryTable[];
  /** Functions of the application's own, which may read more. */
  readonly functions: readonly string[];
}

const VIEW = 'tandem_feature_query';

/**
 * Rejects where Postgres refuses the query, or the user may not make temporary tables.
 * @param pool of feature statements: its login's `search_path` and rights decide which tables the query reads
 */
export function findQueryTables(pool: pg.Pool, sql: string): Promise<QueryTables> {
  return parseOnly(pool, async (db) => {
    // Whatever else the query selects twice, a view needs each name once.
    await query(db, { text: `create temporary view ${VIEW} as select f.user_id from ${asRelation(sql)}` });
    return {
      tables: await tablesOf(db, `pg_temp.${VIEW}`),
      functions: await functionsOf(db, `pg_temp.${VIEW}`),
    };
  });
}

/** The rules of a view and of the views beneath it. */
const RULES = `with recursive rules(oid, view) as (
    select oid, ev_class from pg_rewrite where ev_class = $1::text::regclass
    union
    select r.oid, r.ev_class from rules
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = rules.oid and d.refclassid = 'pg_class'::regclass
    join pg_class c on c.oid = d.refobjid and c.relkind = 'v'
    join pg_rewrite r on r.ev_class = c.oid
  )`;

/** @param view the name of a view; the tables beneath it */
export function tablesOf(db: Db, view: string): Promise<QueryTable[]> {
  return query<QueryTable & Record<string, unknown>>(db, {
    text: `${RULES}
      select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name,
        case when c.relkind in ('r', 'p') then 'table' when c.relkind = 'm' then 'materialized view'
          when c.relkind = 'f' then 'foreign table' else 'other' end as kind,
        coalesce(array_agg(distinct a.attname::text) filter (where a.attname is not null), '{}') as columns
      from rules
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = rules.oid and d.refclassid = 'pg_class'::regclass
      join pg_class c on c.oid = d.refobjid and c.relkind <> 'v' and c.oid <> rules.view
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and d.refobjsubid > 0
      group by c.oid, n.nspname, c.relname, c.relkind order by 2`,
    values: [view],
  });
}

async function functionsOf(db: Db, view: string): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(db, {
    text: `${RULES}
      select distinct format('%I.%I', n.nspname, p.proname) as name
      from rules
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = rules.oid and d.refclassid = 'pg_proc'::regclass
      join pg_proc p on p.oid = d.refobjid join pg_namespace n on n.oid = p.pronamespace
      where n.nspname <> 'pg_catalog' order by 1`,
    values: [view],
  });
  return rows.map(({ name }) => name);
}
