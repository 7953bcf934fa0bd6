/** The settings of the service: the one row of tandem.settings. */
import type { HistoryCount } from '@tandem/freshness/certificate';
import { assertProtocol } from '@tandem/freshness/protocol';
import type { KeyType } from '@tandem/freshness/user-id';
import type { Db } from './database.ts';
import { currentHistory, fetchFirst, statements } from './statements.ts';

/** Returns the settings. The type of user ids is null until a first config is adopted. */
export async function findSettings(db: Db) {
  const history = currentHistory().as('history');
  const row = statements.selectFrom('tandem.settings').select(['key_type as keyType', 'revision', history]);
  const settings = await fetchFirst(db, row);
  if (!settings) throw settingsLost();
  return settings;
}

/** Returns how many erasures or withdrawals the current history has. */
export async function findCount(db: Db, of: 'erasures' | 'withdrawals'): Promise<HistoryCount> {
  const row = statements.selectFrom('tandem.settings').select([currentHistory().as('history'), `${of} as count`]);
  const count = await fetchFirst(db, row);
  if (!count) throw settingsLost();
  return count;
}

/** Returns the error of a database whose settings have no row. */
export function settingsLost(): Error {
  return new Error('tandem.settings has lost its row; restore it with: insert into tandem.settings default values');
}

/**
 * Locks the settings until the transaction ends; throws `protocol_unknown` if this release must not change them. Each
 * transaction that changes assignments (adopts, publishes, rolls back, drops generations) does this first: all of them
 * raise the revision in this row, and could otherwise deadlock. An erasure locks the row last.
 */
export async function lockAssignments(db: Db): Promise<{ keyType: KeyType | null }> {
  const settings = statements.selectFrom('tandem.settings').select(['key_type as keyType', 'protocol']).forUpdate();
  const found = await fetchFirst(db, settings);
  if (!found) throw settingsLost();
  assertProtocol(found.protocol);
  return { keyType: found.keyType };
}

/**
 * Waits until no other transaction holds `lockAssignments`, and makes the next one wait for this transaction. Erasures
 * do not wait for each other.
 */
export async function awaitAssignments(db: Db): Promise<void> {
  await fetchFirst(db, statements.selectFrom('tandem.settings').select('one').forKeyShare());
}
