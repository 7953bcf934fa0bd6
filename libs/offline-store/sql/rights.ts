/**
 * A user's rights in the schema `tandem`, in the words of Postgres. Serving and adopting need the grants below. A
 * worker makes and drops the partitions of tandem.predictions, and migrations change everything: both need the owner.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';

const INSUFFICIENT_PRIVILEGE = '42501';
const DOCUMENT = 'docs/postgres.md, "Rights in Postgres"';

/** The statements that let `user` serve and adopt, for the owner to give; also for the partitions that it will make. */
export function grantsFor(user: string, owner: string): string {
  const [to, by] = [quoteName(user), quoteName(owner)];
  const tables = 'select, insert, update, delete';
  return [
    `grant usage on schema tandem to ${to}`,
    `grant ${tables} on all tables in schema tandem to ${to}`,
    `grant usage, select on all sequences in schema tandem to ${to}`,
    `grant execute on all functions in schema tandem to ${to}`,
    `alter default privileges for role ${by} in schema tandem grant ${tables} on tables to ${to}`,
  ].join('; ');
}

/** Whether Postgres refused because of a missing right. */
export function isRefusal(error: unknown): error is Error {
  if (isTandemError(error)) return isRefusal(error.cause);
  return error instanceof Error && 'code' in error && error.code === INSUFFICIENT_PRIVILEGE;
}

/**
 * The problem of a user that may not migrate: the message of Postgres and the missing right, depending on whether the
 * schema exists.
 */
export async function explainRefusedMigration(client: pg.ClientBase, error: Error): Promise<TandemError> {
  const { user, database, owner } = await readParties(client);
  const remedy =
    owner === null
      ? `grant create on database ${quoteName(database)} to ${quoteName(user)}; see ${DOCUMENT}`
      : `migrate as ${owner}, who owns the schema, or make ${user} the owner of all objects in it: ${DOCUMENT}`;
  return refusal(`User ${user} may not migrate: ${error.message}`, error, remedy);
}

/** For who may not even read which migrations there are. */
export async function explainRefusedReading(client: pg.ClientBase | pg.Pool, error: Error): Promise<TandemError> {
  const { user, owner } = await readParties(client);
  const remedy = `${grantsFor(user, owner ?? user)}; see ${DOCUMENT}`;
  return refusal(`User ${user} may not use Tandem's tables: ${error.message}`, error, remedy);
}

function refusal(message: string, cause: Error, remedy: string): TandemError {
  return new TandemError('config_invalid', message, { field: 'DATABASE_URL', cause, remedy });
}

interface Parties {
  readonly user: string;
  readonly database: string;
  /** Null if the schema does not exist. */
  readonly owner: string | null;
}

/** Reads the catalogue, which needs no rights. */
async function readParties(client: pg.ClientBase | pg.Pool): Promise<Parties> {
  const { rows } = await client.query<Parties>(
    `select current_user::text as user, current_database()::text as database,
      (select pg_get_userbyid(nspowner)::text from pg_namespace where nspname = 'tandem') as owner`,
  );
  const [parties] = rows;
  if (parties === undefined) throw new Error('Postgres answered no row');
  return parties;
}

/** Quotes a name for SQL, unless it is plain. */
export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
