/** Opens access by keys: the ring, the loop that updates it, and its part of readiness. */

import { type Access, createKeyedAccess, openAccess } from '@tandem/endpoints/access';
import { readKeySnapshot } from '@tandem/offline-store/api-keys';
import type { createPool } from '@tandem/offline-store/sql/database';
import { pepperId } from '@tandem/prediction/keys/api-key';
import { KeyRing } from '@tandem/prediction/keys/key-ring';
import type { Part } from '@tandem/reading/prove-database';
import type { Log } from '@tandem/telemetry/log';
import type { KeyMode } from '../keys/choose-mode.ts';
import { keepKeys } from '../keys/keep-keys.ts';

type Pool = ReturnType<typeof createPool>;

interface OpenedKeys {
  readonly access: Access;
  readonly parts: readonly Part[];
  close(): Promise<void>;
}

/**
 * Milliseconds for which keys stay valid without a confirmation from Postgres: long enough for an outage, but shorter
 * than a day.
 */
const BELIEVED_MS = 15 * 60_000;
const KEYS_OFF: OpenedKeys = Object.freeze({ access: openAccess, parts: [], close: async () => {} });

/**
 * Waits for the first check of the keys, but not for its success, because a service may start before its database.
 * Reads changed keys each second, or every `everyMs`.
 * @param pool with short limits and no other work, so that a revocation applies within 5 s
 */
export async function openKeys(mode: KeyMode, pool: Pool, log: Log, everyMs?: number): Promise<OpenedKeys> {
  if (mode === null) return KEYS_OFF;
  const { pepper } = mode;
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
    if (!ring.isBelieved()) throw new Error('the API keys could not be loaded from the database');
  };
  return {
    access: createKeyedAccess(ring),
    parts: [{ name: 'keys', isEssential: true, check }],
    close: () => keeper.close(),
  };
}
