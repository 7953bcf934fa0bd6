/**
 * Ordinary statements are compiled by Kysely against the schema's types, and run by `query`, with the same time limits
 * and error translation as all statements. A statement that needs more than one raw fragment is written in SQL.
 */
import {
  type Compilable,
  type DeleteResult,
  DummyDriver,
  type InsertResult,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
  type UpdateResult,
} from 'kysely';
import { countChanged, type Db, query } from './database.ts';
import type { Database } from './database-schema.ts';

/** Builds statements; it has no connection. */
export const statements = new Kysely<Database>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/** Returns the statement's rows. */
export function fetchRows<R extends object>(db: Db, statement: Compilable<R>): Promise<R[]> {
  const { sql: text, parameters: values } = statement.compile();
  return query<R>(db, { text, values });
}

/** Returns the statement's first row. */
export async function fetchFirst<R extends object>(db: Db, statement: Compilable<R>): Promise<R | undefined> {
  return (await fetchRows(db, statement))[0];
}

/** Returns how many rows the statement changed. */
export function changeRows(db: Db, statement: Compilable<DeleteResult | InsertResult | UpdateResult>): Promise<number> {
  const { sql: text, parameters: values } = statement.compile();
  return countChanged(db, { text, values });
}

const { fn } = statements;

/** Returns SQL of Postgres' clock at the call, not at the start of the transaction. */
export const databaseNow = () => fn<Date>('clock_timestamp', []);

/** Returns SQL of a time this many milliseconds after Postgres' clock. */
export const fromNow = (ms: number) => sql<Date>`clock_timestamp() + ${ms} * interval '1 ms'`;

/**
 * Returns the right side of `id = any (…)`. It is one parameter, so there is one statement text; `in` would give one
 * text for each number of ids.
 */
export const anyOf = (ids: readonly string[]) => fn.any(sql.val(ids));

export const currentHistory = () => fn<string>('tandem.current_history', []);
