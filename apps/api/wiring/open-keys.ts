/** What judges requests by their keys: the ring, what keeps it, and the part of readiness that it is. */
import { readKeySnapshot } from '@tandem/offline-store/api-keys';
import { createPool } from '@tandem/offline-store/sql/database';
import { pepperId } from '@tandem/prediction/keys/api-key';
import { KeyRing } from '@tandem/prediction/keys/key-ring';
import type { Log } from '@tandem/telemetry/log';
import { type Access, createKeyedAccess, openAccess } from '../keys/access.ts';
import type { KeyMode } from '../keys/choose-mode.ts';
import { keepKeys } from '../keys/keep-keys.ts';
import type { Part } from './readiness.ts';

interface OpenedKeys {
  readonly access: Access;
  readonly parts: readonly Part[];
  close(): Promise<void>;
}

/** How long keys count that Postgres has not confirmed since: an outage of it may be sat out, not a day. */
const BELIEVED_MS = 15 * 60_000;
/** Less than the 5 s within which a revocation counts. */
const TIMEOUT_MS = 1_000;

const KEYS_OFF: OpenedKeys = Object.freeze({ access: openAccess, parts: [], close: async () => {} });

/** Waits for the first look at the keys, not for its success: a service may start before its database. Asks for changed keys each second, or every `everyMs`. */
export async function openKeys(mode: KeyMode, databaseUrl: string, log: Log, everyMs?: number): Promise<OpenedKeys> {
  if (mode === null) return KEYS_OFF;
  const { pepper } = mode;
  const limits = { statementTimeoutMs: TIMEOUT_MS, lockTimeoutMs: TIMEOUT_MS };
  // A connection of its own: a revocation must not wait for whatever exhausts another pool.
  const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'tandem-api-keys', ...limits });
  const ring = new KeyRing({ pepper, believedForMs: BELIEVED_MS });
  const keeper = keepKeys({
    ring,
    pepperId: pepperId(pepper),
    read: (known) => readKeySnapshot(pool, known),
    log,
    everyMs,
  });
  await keeper.started;
  const check = async () => {
    if (!ring.isBelieved()) throw new Error('the keys in force are not known');
  };
  return {
    access: createKeyedAccess(ring),
    parts: [{ name: 'keys', isEssential: true, check }],
    async close() {
      await keeper.close();
      await pool.end();
    },
  };
}
