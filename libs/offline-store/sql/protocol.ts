/** The number of the freshness protocol, as the schema states it (migrations/0065). */
import { assertProtocol, PROTOCOL } from '@tandem/freshness/protocol';
import { sql } from 'kysely';
import { type Db, query } from './database.ts';
import { settingsLost } from './settings.ts';

/**
 * SQL: whether this release knows the schema's protocol. Each statement by which a worker claims or writes includes it, and
 * locks a row or table that a change of the number waits for (tandem.raise_protocol).
 */
export const KNOWS_PROTOCOL = `(select protocol from tandem.settings) = ${PROTOCOL}`;

/** The condition `KNOWS_PROTOCOL` for a statement that Kysely builds. */
export const knowsProtocol = sql<boolean>`${sql.raw(KNOWS_PROTOCOL)}`;

/** Rejects with `protocol_unknown` unless this release knows the schema's protocol. */
export async function checkProtocol(db: Db): Promise<void> {
  assertProtocol(await findProtocol(db));
}

/** Checks the protocol and locks its number until the transaction ends. Erasures wait meanwhile. */
export async function holdProtocol(db: Db): Promise<void> {
  assertProtocol(await findProtocol(db, 'for share'));
}

/** Returns the number that the schema states. */
export async function findProtocol(db: Db, lock: '' | 'for share' = ''): Promise<number> {
  const [row] = await query<{ protocol: number }>(db, { text: `select protocol from tandem.settings ${lock}` });
  if (!row) throw settingsLost();
  return row.protocol;
}
