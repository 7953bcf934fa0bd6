/** Creates a table from given rows, or replaces its rows, in one transaction. */
import { TandemError } from '@tandem/freshness/errors';
import pg from 'pg';
import { quoteName } from '../features/feature-statement.ts';
import { copyInAll } from '../sql/copy.ts';
import { limitStatements, query, transaction } from '../sql/database.ts';

export interface LoadedTable {
  /** `table` or `schema.table`, as plain names. */
  readonly name: string;
  readonly columns: readonly LoadedColumn[];
  /** The column that becomes the primary key. */
  readonly key: string;
}

export interface LoadedColumn {
  readonly name: string;
  readonly type: 'bigint' | 'double precision' | 'boolean' | 'date' | 'timestamp with time zone' | 'text';
}

/**
 * `created`: the table is new; `refilled`: only its rows are new; `recreated`: its columns or its key were different.
 */
export type LoadOutcome = 'created' | 'refilled' | 'recreated';

/** Thrown if Postgres rejected a row of the input. */
export class RowRefused extends Error {
  /** The row's number, from 1. */
  readonly row: number;
  readonly isDuplicate: boolean;

  constructor(row: number, isDuplicate: boolean, cause: pg.DatabaseError) {
    super(cause.message, { cause });
    this.name = 'RowRefused';
    this.row = row;
    this.isDuplicate = isDuplicate;
  }
}

/** The time limit, an hour; a table of 1 GB takes minutes. */
const LOAD_MS = 3_600_000;
const UNIQUE_VIOLATION = '23505';
/** SQLSTATEs of a drop and of a truncation that fail because another table has a foreign key to this one. */
const OTHERS_DEPEND = ['2BP01', '0A000'];

/**
 * Loads the table. Reads of an existing table wait for its new rows. Times without a zone count as UTC. Rejects with
 * RowRefused, or with `invalid_input` if the table exists and must not or cannot be replaced.
 * @param rows the rows in COPY's text format
 */
export async function loadTable(
  pool: pg.Pool,
  table: LoadedTable,
  rows: AsyncIterable<Buffer>,
  { replace }: { readonly replace: boolean },
): Promise<LoadOutcome> {
  const sql = tableSql(table.name);
  const outcome = await transaction(pool, async (db) => {
    await limitStatements(db, LOAD_MS);
    await query(db, { text: `select set_config('timezone', 'UTC', true)` });
    const made = await makeRoom(db, table, replace);
    const columns = table.columns.map(({ name }) => quoteName(name)).join(', ');
    await copyInAll(db, { text: `copy ${sql} (${columns}) from stdin`, timeoutMs: LOAD_MS }, rows).catch(rethrow);
    return made;
  });
  // The rows are committed. If this fails, Postgres analyses the table automatically later.
  await query(pool, { text: `analyze ${sql}` }).catch(() => {});
  return outcome;
}

async function makeRoom(db: pg.PoolClient, table: LoadedTable, replace: boolean): Promise<LoadOutcome> {
  const existing = await findExisting(db, table.name);
  if (!existing) {
    await create(db, table);
    return 'created';
  }
  if (!replace) {
    const remedy = 'add --replace to replace its rows with those of the file, or name another table with --table';
    throw refused(`Table ${table.name} already exists.`, remedy);
  }
  if (existing.kind !== 'r')
    throw refused(`${table.name} is not an ordinary table.`, 'name another table with --table');
  const sql = tableSql(table.name);
  if (existing.shape === shapeOf(table)) {
    // The table keeps its triggers, indexes and rights.
    await query(db, { text: `truncate ${sql}` }).catch(cannotReplace);
    return 'refilled';
  }
  if (existing.hasRights) {
    const remedy = 'drop the table first and grant them again, or load into another table with --table';
    throw refused(`Table ${table.name} has other columns than the file, and grants that would be lost.`, remedy);
  }
  if (existing.hasTriggers) {
    const remedy = `drop them first (of a watched table: tandem unwatch ${table.name}), or load into another table with --table`;
    throw refused(`Table ${table.name} has other columns than the file, and triggers that would be lost.`, remedy);
  }
  await query(db, { text: `drop table ${sql}` }).catch(cannotReplace);
  await create(db, table);
  return 'recreated';

  function cannotReplace(error: unknown): never {
    if (!(error instanceof pg.DatabaseError) || !OTHERS_DEPEND.includes(error.code ?? '')) throw error;
    throw refused(
      `Table ${table.name} cannot be replaced: ${error.detail ?? error.message}`,
      'drop the dependent objects first',
    );
  }
}

interface Existing {
  readonly kind: string;
  readonly shape: string;
  readonly hasTriggers: boolean;
  readonly hasRights: boolean;
}

async function findExisting(db: pg.PoolClient, name: string): Promise<Existing | undefined> {
  const [found] = await query<Existing>(db, {
    text: `select c.relkind as kind, c.relacl is not null as "hasRights",
        exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) as "hasTriggers",
        coalesce((select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
            coalesce(a.attnum = any(i.indkey) and i.indnatts = 1, false)) order by a.attnum)
          from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]')::text as shape
      from pg_class c where c.oid = to_regclass($1)`,
    values: [tableSql(name)],
  });
  return found && { ...found, shape: JSON.stringify(JSON.parse(found.shape)) };
}

/**
 * Returns the columns in order, each with its type and whether it is the whole primary key, in the form of
 * `findExisting`.
 */
function shapeOf({ columns, key }: LoadedTable): string {
  return JSON.stringify(columns.map(({ name, type }) => [name, type, name === key]));
}

async function create(db: pg.PoolClient, { name, columns, key }: LoadedTable): Promise<void> {
  const definitions = columns.map(
    (column) => `${quoteName(column.name)} ${column.type}${column.name === key ? ' primary key' : ''}`,
  );
  await query(db, { text: `create table ${tableSql(name)} (${definitions.join(', ')})` });
}

/** Returns the quoted name for SQL, since a plain name may be a keyword, such as `order`. */
function tableSql(name: string): string {
  return name.split('.').map(quoteName).join('.');
}

/**
 * Rethrows an error of COPY with its row: the error's context has the line of the input, and each row is one line,
 * since breaks are escaped.
 */
function rethrow(error: unknown): never {
  const row = error instanceof pg.DatabaseError ? /COPY .*?, \D*(\d+)/.exec(error.where ?? '')?.[1] : undefined;
  if (!(error instanceof pg.DatabaseError) || row === undefined) throw error;
  throw new RowRefused(Number(row), error.code === UNIQUE_VIOLATION, error);
}

function refused(problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', problem, { remedy });
}
