/** The number of the freshness protocol, as the schema states it (migrations/0065). */
import { assertProtocol, PROTOCOL } from '@tandem/freshness/protocol';
import { sql } from 'kysely';
import type pg from 'pg';
import { type Db, query, transaction } from './database.ts';
import { settingsLost } from './settings.ts';

/**
 * SQL for whether this release knows the schema's protocol. Each statement with which a worker claims or writes
 * includes it, and locks a row or table that a change of the number waits for (tandem.raise_protocol).
 */
export const KNOWS_PROTOCOL = `(select protocol from tandem.settings) = ${PROTOCOL}`;

/** The condition `KNOWS_PROTOCOL` for a statement that Kysely builds. */
export const knowsProtocol = sql<boolean>`${sql.raw(KNOWS_PROTOCOL)}`;

/** Rejects with `protocol_unknown` unless this release knows the schema's protocol. */
export async function checkProtocol(db: Db): Promise<void> {
  assertProtocol(await findProtocol(db));
}

/** Checks the protocol and locks its number until the transaction ends. Erasures wait until then. */
export async function holdProtocol(db: Db): Promise<void> {
  assertProtocol(await findProtocol(db, 'for share'));
}

/**
 * Runs `write` in a transaction. A change of the protocol's number waits for it; erasures do not. Rejects with
 * `protocol_unknown` unless this release knows the schema's protocol. The lock is the first that tandem.raise_protocol
 * acquires, so the two cannot deadlock.
 */
export function writeKnown<T>(pool: pg.Pool, write: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return transaction(pool, async (db) => {
    await query(db, { text: 'lock table tandem.predictors in row share mode' });
    await checkProtocol(db);
    return write(db);
  });
}

/** Returns the number that the schema states. */
export async function findProtocol(db: Db, lock: '' | 'for share' = ''): Promise<number> {
  const [row] = await query<{ protocol: number }>(db, { text: `select protocol from tandem.settings ${lock}` });
  if (!row) throw settingsLost();
  return row.protocol;
}
