/** Reads facts about a table or view for `init`: columns, key, nulls, and texts that would have to become numbers. */
import type { Pool } from '@tandem/admission/sample-users';
import { CommandFailure } from '@tandem/commands/failure';
import { findByName, suggestion } from '@tandem/commands/names';
import { count } from '@tandem/commands/output/text';
import { isTandemError } from '@tandem/freshness/errors';
import { query } from '@tandem/offline-store/sql/database';
import { findTable, type Relation } from './find-table.ts';
import { type KeyFacts, kindOf, type TableColumn, type TableFacts, type TextFacts } from './table-facts.ts';

/** The most rows of a text column that are read, and the most texts that are listed as categories. */
const TEXT_ROWS = 200_000;
const MAX_CATEGORIES = 50;
const A_NUMBER = '^[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?$';

interface FoundRelation extends Relation {
  readonly oid: number;
  readonly sql: string;
  /** The name of the schema, quoted for SQL. */
  readonly schema_sql: string;
  readonly is_table: boolean;
  readonly is_watchable: boolean;
}

/** Reads the table. Throws a CommandFailure with a remedy if the table or the key cannot be used. */
export async function readTable(pool: Pool, said: string, key: string): Promise<TableFacts> {
  const relation = await findRelation(pool, said);
  const columns = await readColumns(pool, relation);
  const keyColumn = findByName(key, columns);
  if (!keyColumn) {
    const remedy = suggestion(
      key,
      columns.map(({ name }) => name),
    );
    throw new CommandFailure(`${relation.sql} has no column ${key}`, {
      remedy: `set --key to the column of user ids; ${remedy}`,
    });
  }
  const counted = await countRows(pool, relation, columns);
  const withNulls = columns.map((column, i) => ({
    ...column,
    nulls: counted === null ? null : (counted.nulls[i] ?? 0),
  }));
  const rest = withNulls.filter(({ name }) => name !== keyColumn.name);
  return {
    sql: relation.sql,
    columns: rest,
    isWatchable: relation.is_watchable,
    key: await readKey(pool, relation, withNulls.find(({ name }) => name === keyColumn.name) ?? keyColumn),
    rows: counted?.rows ?? null,
    texts: await readTexts(
      pool,
      relation,
      rest.filter((column) => kindOf(column) === 'text'),
    ),
  };
}

async function findRelation(pool: Pool, said: string): Promise<FoundRelation> {
  const relations = await query<FoundRelation & { readonly [key: string]: unknown }>(pool, {
    text: `select c.oid, n.nspname as schema, c.relname as name, pg_table_is_visible(c.oid) as visible,
        c.relkind in ('r', 'p', 'm') as is_table, c.relkind in ('r', 'p') as is_watchable,
        has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
        quote_ident(n.nspname) as schema_sql,
        case when pg_table_is_visible(c.oid) then '' else quote_ident(n.nspname) || '.' end || quote_ident(c.relname) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^(pg_|information_schema$|tandem$)' order by 2, 3`,
  });
  const result = findTable(said, relations);
  if ('remedy' in result) {
    throw new CommandFailure(`this database has no table or view ${said}`, { remedy: result.remedy });
  }
  const { found } = result;
  if (found.readable) return found;
  throw new CommandFailure(
    `the user of feature queries (FEATURES_DATABASE_URL, or DATABASE_URL) may not read ${found.sql}`,
    {
      remedy: `run as its owner: grant usage on schema ${found.schema_sql} to <user>; grant select on ${found.sql} to <user>;`,
    },
  );
}

async function readColumns(pool: Pool, { oid }: FoundRelation): Promise<readonly TableColumn[]> {
  const rows = await query<{ name: string; sql: string; type: string }>(pool, {
    text: `select a.attname as name, quote_ident(a.attname) as sql,
        format_type(coalesce(nullif(t.typbasetype, 0), t.oid), a.atttypmod) as type
      from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    values: [oid],
  });
  return rows.map((row) => ({ ...row, nulls: null }));
}

interface Counted {
  readonly rows: number;
  readonly nulls: readonly number[];
}

async function countRows(
  pool: Pool,
  relation: FoundRelation,
  columns: readonly TableColumn[],
): Promise<Counted | null> {
  const nulls = columns.map(({ sql }) => `count(*) - count(${sql})`);
  const text = `select count(*) as rows, array[${nulls.join(', ')}]::float8[] as nulls from ${relation.sql}`;
  const rows = await inTime(query<{ rows: number; nulls: number[] }>(pool, { text }));
  return rows?.[0] ?? null;
}

async function readKey(pool: Pool, relation: FoundRelation, column: TableColumn): Promise<KeyFacts> {
  const { is_table: isIndexable } = relation;
  if (isIndexable && (await hasUniqueIndex(pool, relation, column))) return { column, unique: 'index', isIndexable };
  const rows = await inTime(
    query<{ key: string; rows: number }>(pool, {
      text: `select ${column.sql}::text as key, count(*) as rows from ${relation.sql}
        where ${column.sql} is not null group by ${column.sql} having count(*) > 1 order by 2 desc limit 3`,
    }),
  );
  if (rows === null) return { column, unique: null, isIndexable };
  if (rows.length === 0) return { column, unique: 'counted', isIndexable };
  const named = rows.map(({ key, rows: many }) => `${key} (${count(many)} rows)`).join(', ');
  throw new CommandFailure(`${relation.sql} has several rows with the same ${column.name}: ${named}`, {
    remedy: `set --key to a unique column, or create a view with one row for each user (group by ${column.sql}) and use it as --table`,
  });
}

async function hasUniqueIndex(pool: Pool, { oid }: FoundRelation, { name }: TableColumn): Promise<boolean> {
  const [row] = await query<{ found: boolean }>(pool, {
    text: `select exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = $1 and a.attname = $2 and i.indisunique and i.indisvalid and i.indpred is null
          and i.indnkeyatts = 1) as found`,
    values: [oid, name],
  });
  return row?.found ?? false;
}

async function readTexts(
  pool: Pool,
  relation: FoundRelation,
  columns: readonly TableColumn[],
): Promise<ReadonlyMap<string, TextFacts>> {
  const texts = new Map<string, TextFacts>();
  for (const { name, sql } of columns) {
    const rows = await inTime(
      query<{ values: string[]; blanks: number; numeric: boolean }>(pool, {
        text: `with t as (select ${sql}::text as value from ${relation.sql} where ${sql} is not null limit ${TEXT_ROWS})
          select count(*) filter (where trim(value) = '') as blanks,
            coalesce(bool_and(trim(value) ~ '${A_NUMBER}') filter (where trim(value) <> ''), false) as numeric,
            array(select distinct value from t limit ${MAX_CATEGORIES + 1}) as values from t`,
      }),
    );
    const [found] = rows ?? [];
    if (!found) continue;
    const values = found.values.length > MAX_CATEGORIES ? null : found.values.sort(byCodePoint);
    texts.set(name, { values, blanks: found.blanks, isNumeric: found.numeric });
  }
  return texts;
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Returns the result of a statement; null if the statement timed out, so that the result is unknown. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    const cause = isTandemError(error) ? error.cause : undefined;
    if (cause instanceof Error && 'code' in cause && cause.code === '57014') return null;
    throw error;
  }
}
