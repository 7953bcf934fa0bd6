/** Checks whether a table can be watched: its kind, its parents and partitions, and the rights on it. */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { parseOnly } from '../features/feature-session.ts';
import { asRelation } from '../features/feature-statement.ts';
import { type Db, query, queryFirst, sqlState } from '../sql/database.ts';
import { isRefusal, quoteName } from '../sql/rights.ts';

export interface Watchable {
  readonly oid: number;
  /** `schema.table`, quoted if SQL needs it. */
  readonly name: string;
  readonly columns: readonly string[];
  /** The generated columns whose values are not stored (Postgres 18 and newer). */
  readonly virtualColumns: readonly string[];
  /** Whether the types of all columns can be sent in binary form. */
  readonly hasBinaryForm: boolean;
  readonly schemaOwner: string;
  /** The table itself, its partitions, and tables that inherit from it: statements may name any of them. */
  readonly relations: readonly { readonly name: string; readonly isOwned: boolean }[];
}

interface Facts extends Omit<Watchable, 'relations' | 'schemaOwner'> {
  readonly kind: string;
  readonly schema: string;
  readonly isPermanent: boolean;
  readonly parent: string | null;
  readonly isSubscribed: boolean;
  readonly user: string;
  readonly schemaOwner: string | null;
  readonly ownsSchema: boolean;
}

interface Relation {
  readonly name: string;
  readonly kind: string;
  readonly isOwned: boolean;
  readonly mayTrigger: boolean;
}

/** Returns the table's oid and `schema.table`, quoted if SQL needs it; undefined if there is no table. */
export function findTable(db: Db, table: string): Promise<Pick<Watchable, 'oid' | 'name'> | undefined> {
  return queryFirst<{ oid: number; name: string }>(db, {
    text: `select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)`,
    values: [table],
  }).catch(refuseLongName(table));
}

/**
 * Returns a table if it can be watched. Otherwise rejects with `config_invalid`, which names the table to watch
 * instead, or the missing grant.
 * @param table the table as SQL spells it
 */
export async function findWatchable(db: Db, table: string): Promise<Watchable> {
  const facts = await findFacts(db, table);
  if (!facts) throw refused(`There is no table ${table}.`, 'use a table that the feature query reads, as schema.table');
  await refuseOtherKinds(db, facts);
  const { name, schemaOwner, ownsSchema, user } = facts;
  if (schemaOwner === null) throw refused('The schema tandem does not exist.', 'run tandem migrate first');
  if (!ownsSchema) {
    throw refused(
      `User ${user} may not create functions in the schema tandem.`,
      `watch as ${schemaOwner}, who owns the schema, after: grant trigger on ${name} to ${quoteName(schemaOwner)}`,
    );
  }
  const relations = await relationsOf(db, facts.oid);
  const foreign = relations.find(({ kind }) => kind === 'f');
  if (foreign) throw refused(`${foreign.name} is on another server, which fires no trigger here.`, SEND_EVENTS);
  const closed = relations.filter(({ mayTrigger }) => !mayTrigger);
  if (closed.length > 0) {
    const names = closed.map((one) => one.name).join(', ');
    throw refused(
      `User ${user} may not create triggers on ${names}.`,
      `grant trigger on ${names} to ${quoteName(user)}`,
    );
  }
  const { oid, columns, virtualColumns, hasBinaryForm } = facts;
  return { oid, name, columns, virtualColumns, hasBinaryForm, schemaOwner, relations };
}

const SEND_EVENTS = 'send events for its changes, or refresh its users with tandem run start';

async function refuseOtherKinds(
  db: Db,
  { name, kind, schema, isPermanent, parent, isSubscribed }: Facts,
): Promise<void> {
  if (kind === 'v') {
    const beneath = (await tablesOf(db, name)).map((one) => one.name).join(', ');
    throw refused(
      `${name} is a view: its rows change in the tables that it reads.`,
      `watch the tables that it reads: ${beneath}`,
    );
  }
  if (kind === 'm') {
    throw refused(
      `${name} is a materialized view, whose refresh fires no trigger.`,
      'start a run after each refresh: tandem run start',
    );
  }
  if (kind === 'f') throw refused(`${name} is on another server, which fires no trigger here.`, SEND_EVENTS);
  if ((kind !== 'r' && kind !== 'p') || ['tandem', 'pg_catalog', 'information_schema'].includes(schema)) {
    throw refused(`${name} is not a table of the application.`, 'use a table that the feature query reads');
  }
  if (!isPermanent) {
    throw refused(`${name} is temporary or unlogged: a crash empties it, and no trigger fires.`, SEND_EVENTS);
  }
  if (parent !== null) {
    throw refused(
      `${name} is part of ${parent}, and a statement on ${parent} fires no trigger of ${name}.`,
      `watch ${parent}`,
    );
  }
  if (isSubscribed) {
    const remedy = 'watch the table on the server that publishes it, or send events for its changes';
    throw refused(`${name} is filled by logical replication, which fires no statement trigger.`, remedy);
  }
}

function findFacts(db: Db, table: string): Promise<Facts | undefined> {
  return queryFirst<Facts>(db, {
    text: `select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name, c.relkind as kind, n.nspname as schema,
        c.relpersistence = 'p' as "isPermanent",
        (select format('%I.%I', pn.nspname, p.relname) from pg_inherits i join pg_class p on p.oid = i.inhparent
          join pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid limit 1) as parent,
        exists (select from pg_subscription_rel s where s.srrelid = c.oid) as "isSubscribed",
        array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          order by a.attnum) as columns,
        array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v'
          and not a.attisdropped) as "virtualColumns",
        -- Of the built-in types alone it is known that what they are made of has one, too.
        not exists (select from pg_attribute a join pg_type y on y.oid = a.atttypid
          left join pg_type e on e.oid = y.typelem
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and (y.typnamespace <> 'pg_catalog'::regnamespace or y.typsend = 0 or e.typsend = 0)) as "hasBinaryForm",
        current_user::text as user,
        (select pg_get_userbyid(nspowner)::text from pg_namespace where nspname = 'tandem') as "schemaOwner",
        coalesce((select pg_has_role(nspowner, 'member') from pg_namespace where nspname = 'tandem'), false) as "ownsSchema"
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)`,
    values: [table],
  }).catch(refuseLongName(table));
}

function relationsOf(db: Db, oid: number): Promise<Relation[]> {
  return query<Relation>(db, {
    text: `select format('%I.%I', n.nspname, c.relname) as name, c.relkind as kind,
        pg_has_role(c.relowner, 'usage') as "isOwned", has_table_privilege(c.oid, 'trigger') as "mayTrigger"
      from tandem.family_of($1) f(oid) join pg_class c on c.oid = f.oid join pg_namespace n on n.oid = c.relnamespace order by c.oid <> $1, 1`,
    values: [oid],
  });
}

/** Rejects a name of more than two parts, which `to_regclass` does not read. */
function refuseLongName(table: string): (error: unknown) => never {
  return (error) => {
    if (!['0A000', '42601'].includes(sqlState(error) ?? '')) throw error;
    throw refused(`${table} is not a name of a table in this database.`, 'name it as table, or as schema.table');
  };
}

function refused(message: string, remedy: string): TandemError {
  return new TandemError('config_invalid', message, { field: 'table', remedy });
}

// Postgres finds the tables that a feature query reads: the query becomes a temporary view, whose dependencies name
// every table and column, even through other views. Reads inside functions stay unknown.

export interface QueryTable {
  readonly oid: number;
  /** `schema.table`, quoted if SQL needs it. */
  readonly name: string;
  /** The kind of relation. Triggers need a `table`. */
  readonly kind: 'table' | 'materialized view' | 'foreign table' | 'other';
  /** The columns that are read by name. Postgres does not report reads of whole rows. */
  readonly columns: readonly string[];
}

const VIEW = 'tandem_feature_query';

/**
 * Finds the tables of a query. Rejects if Postgres rejects the query, or if the user may not create temporary tables.
 * @param pool the pool of feature statements: the login's `search_path` and rights decide which tables the query reads
 */
export function findQueryTables(pool: pg.Pool, sql: string) {
  return parseOnly(pool, async (db) => {
    // The query may select a name twice, but a view needs each name once.
    await query(db, { text: `create temporary view ${VIEW} as select f.user_id from ${asRelation(sql)}` });
    return {
      tables: await tablesOf(db, `pg_temp.${VIEW}`),
      /** The application's functions that the query calls, which may read more. */
      functions: await functionsOf(db, `pg_temp.${VIEW}`),
    };
  });
}

/**
 * Returns the oids of the views and functions that a query reads; none if the login may not create temporary views.
 * Rejects if Postgres rejects the query, or if a view is being changed.
 */
export function findQueryObjects(pool: pg.Pool, sql: string): Promise<{ views: number[]; functions: number[] }> {
  const found = parseOnly(pool, async (db) => {
    await query(db, { text: `select set_config('lock_timeout', '1s', true)` });
    await query(db, { text: `create temporary view ${VIEW} as select f.user_id from ${asRelation(sql)}` });
    return queryFirst<{ views: number[]; functions: number[] }>(db, {
      text: `${RULES} select array(select distinct view::oid::int8 from rules where view <> $1::text::regclass) as views,
        array(select distinct d.refobjid::int8 from rules join pg_depend d on d.classid = 'pg_rewrite'::regclass
          and d.objid = rules.oid and d.refclassid = 'pg_proc'::regclass
          join pg_proc p on p.oid = d.refobjid where p.pronamespace <> 'pg_catalog'::regnamespace) as functions`,
      values: [`pg_temp.${VIEW}`],
    });
  });
  return found
    .catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    })
    .then((read) => read ?? { views: [], functions: [] });
}

/** SQL of the rules of a view and of the views beneath it. */
const RULES = `with recursive rules(oid, view) as (
    select oid, ev_class from pg_rewrite where ev_class = $1::text::regclass
    union
    select r.oid, r.ev_class from rules
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = rules.oid and d.refclassid = 'pg_class'::regclass
    join pg_class c on c.oid = d.refobjid and c.relkind = 'v'
    join pg_rewrite r on r.ev_class = c.oid
  )`;

/**
 * Returns the tables that a view reads, even through other views.
 * @param view the name of a view
 */
export function tablesOf(db: Db, view: string): Promise<QueryTable[]> {
  return query<QueryTable>(db, {
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
