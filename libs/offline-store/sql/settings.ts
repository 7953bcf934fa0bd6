/** The service's own settings: the one row of tandem.settings. */
import type { KeyType } from '@tandem/freshness/user-id';
import { type Db, query } from './database.ts';

interface Settings {
  /** Null until a first config is adopted. */
  readonly keyType: KeyType | null;
  readonly revision: number;
  readonly history: string;
}

export async function findSettings(db: Db): Promise<Settings> {
  const rows = await query<{ keyType: KeyType | null; revision: number; history: string }>(db, {
    text: `select key_type as "keyType", revision,
      tandem.current_history() as history from tandem.settings`,
  });
  const [settings] = rows;
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
  const rows = await query<{ keyType: KeyType | null }>(db, {
    text: `select key_type as "keyType" from tandem.settings for update`,
  });
  return rows[0] ?? { keyType: null };
}
