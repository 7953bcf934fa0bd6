/** Rejects schemas that a program of this release cannot use. */
import { TandemError } from '@tandem/freshness/errors';
import { protocolUnknown } from '@tandem/freshness/protocol';
import type pg from 'pg';
import { schemaState } from './migrate.ts';

/**
 * Rejects with `config_invalid` if the schema is missing or behind, has another protocol, or lacks objects that this
 * release uses. A database that does not answer is accepted, since it may answer the first query.
 */
export async function assertMigrated(pool: pg.Pool): Promise<void> {
  const schema = await schemaState(pool).catch(() => null);
  if (schema === null || schema.state === 'current' || schema.state === 'ahead') return;
  const { state, protocol, unknown, pending } = schema;
  if (state === 'other_protocol' && protocol !== null) {
    const { message, remedy = '' } = protocolUnknown(protocol);
    throw refused(message, remedy);
  }
  if (state === 'contracted') {
    throw refused(`A newer release dropped objects that this release uses (${unknown[0]}).`, 'run the newer release');
  }
  throw refused(`The database's schema is ${state}: it lacks ${pending[0]}.`, 'run `tandem migrate`');
}

function refused(message: string, remedy: string): TandemError {
  return new TandemError('config_invalid', message, { field: 'DATABASE_URL', remedy });
}
