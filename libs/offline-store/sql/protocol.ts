/** The number of the freshness protocol, as the schema states it (migrations/0065). */
import { assertProtocol, PROTOCOL } from '@tandem/freshness/protocol';
import { sql } from 'kysely';
import { type Db, query } from './database.ts';

/** SQL: whether this release knows the schema's protocol. Each statement by which a worker claims or writes has it. */
export const KNOWS_PROTOCOL = `(select protocol from tandem.settings) = ${PROTOCOL}`;

/** The same for a statement that Kysely builds. */
export const knowsProtocol = sql<boolean>`${sql.raw(KNOWS_PROTOCOL)}`;

/** Rejects with `protocol_unknown` unless this release knows the schema's protocol. */
export async function checkProtocol(db: Db): Promise<void> {
  assertProtocol(await findProtocol(db));
}

/** Returns the number that the schema states. */
export async function findProtocol(db: Db): Promise<number> {
  const [row] = await query<{ protocol: number }>(db, { text: 'select protocol from tandem.settings' });
  if (!row) throw new Error('tandem.settings has lost its row');
  return row.protocol;
}
