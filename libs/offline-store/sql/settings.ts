/** The service's own settings: the one row of tandem.settings. */
import type { KeyType } from '@tandem/freshness/user-id';
import type { Db } from './database.ts';
import { currentHistory, fetchFirst, statements } from './statements.ts';

interface Settings {
  /** Null until a first config is adopted. */
  readonly keyType: KeyType | null;
  readonly revision: number;
  readonly history: string;
}

export async function findSettings(db: Db): Promise<Settings> {
  const history = currentHistory().as('history');
  const row = statements.selectFrom('tandem.settings').select(['key_type as keyType', 'revision', history]);
  const settings = await fetchFirst(db, row);
  if (!settings)
    throw new Error('tandem.settings has lost its row; restore it with: insert into tandem.settings default values');
  return settings;
}

/**
 * Locks the settings until the transaction ends. Whoever changes who is served what (adopts, publishes, rolls back, drops
 * generations) does this first: they all raise the revision in this row, and would else meet there in different orders. An
 * erasure comes to it last, and goes by event-rules.ts.
 */
export async function lockAssignments(db: Db): Promise<{ keyType: KeyType | null }> {
  const settings = statements.selectFrom('tandem.settings').select('key_type as keyType').forUpdate();
  return (await fetchFirst(db, settings)) ?? { keyType: null };
}

/** Waits until no other transaction holds `lockAssignments`; the next waits for ours. Erasures do not wait for one another. */
export async function awaitAssignments(db: Db): Promise<void> {
  await fetchFirst(db, statements.selectFrom('tandem.settings').select('one').forKeyShare());
}
