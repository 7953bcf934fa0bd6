/**
 * A user's rights in the schema `tandem`. Serving and adopting need the grants below. A worker creates and drops
 * partitions of tandem.predictions, and migrations change all objects: both need the owner.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';

const INSUFFICIENT_PRIVILEGE = '42501';
const DOCUMENT = 'docs/postgres.md, "Rights in Postgres"';

/** Returns the grants with which `user` can serve and adopt, for the owner to run. They include later partitions. */
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

/** Returns whether Postgres rejected a statement because of a missing right. */
export function isRefusal(error: unknown): error is Error {
  if (isTandemError(error)) return isRefusal(error.cause);
  return error instanceof Error && 'code' in error && error.code === INSUFFICIENT_PRIVILEGE;
}

/**
 * Returns the problem of a user that may not migrate: the message of Postgres, and the missing right, which depends on
 * whether the schema exists.
 */
export async function explainRefusedMigration(client: pg.ClientBase, error: Error): Promise<TandemError> {
  const { user, database, owner } = await readParties(client);
  const remedy =
    owner === null
      ? `grant create on database ${quoteName(database)} to ${quoteName(user)}; see ${DOCUMENT}`
      : `migrate as ${owner}, who owns the schema, or make ${user} the owner of all objects in it: ${DOCUMENT}`;
  return refusal(`User ${user} may not migrate: ${error.message}`, error, remedy);
}

/** Returns the problem of a user that may not even read the applied migrations. */
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
  /** The owner of the schema; null if the schema does not exist. */
  readonly owner: string | null;
}

/** Reads the owner from the catalogue, which needs no rights. */
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
