/**
 * Synchronises a ring of keys with Postgres. One small statement a second returns the keys only if one has changed. So
 * a revocation applies in every process about a second after its commit, and no request waits for the check. While
 * Postgres is unavailable, the known keys stay valid until the ring no longer trusts them.
 */
import type { KeyRing, KeySnapshot } from '@tandem/prediction/keys/key-ring';
import type { Log } from '@tandem/telemetry/log';
import { repeat } from '@tandem/timing/repeat';

interface KeyKeeperParts {
  readonly ring: KeyRing;
  /** The id of the pepper with which this process checks keys. */
  readonly pepperId: string;
  /** Returns all keys, or says that nothing has changed since the known version. */
  read(knownVersion: string): Promise<KeySnapshot>;
  readonly log: Log;
  /** Milliseconds between two checks. */
  readonly everyMs?: number | undefined;
}

export type KeyKeeper = ReturnType<typeof keepKeys>;

const EVERY_MS = 1_000;

export function keepKeys({ ring, pepperId, read, log, everyMs = EVERY_MS }: KeyKeeperParts) {
  let isFailing = false;
  let isClosed = false;
  async function refresh(): Promise<void> {
    const askedAt = performance.now();
    try {
      const snapshot = await read(ring.version);
      ring.load(snapshot, askedAt);
      if (isFailing) log.info('keys.known_again');
      isFailing = false;
      if (snapshot.keys) tellForeign(snapshot.keys.filter((key) => isInForce(key, snapshot.now)));
    } catch (error) {
      if (!isFailing && !isClosed) log.warn('keys.not_refreshed', { error });
      isFailing = true;
    }
  }

  function tellForeign(keys: NonNullable<KeySnapshot['keys']>): void {
    const foreign = keys.filter((key) => key.pepperId !== pepperId).map(({ id }) => id);
    if (foreign.length === 0) return;
    const remedy = 'give every process the same API_KEY_PEPPER, or rotate these keys';
    log.warn('keys.of_another_pepper', { keyIds: foreign.slice(0, 10), count: foreign.length, remedy });
  }

  const { started, stop } = repeat(everyMs, refresh);
  return {
    /** Resolves after the first check, successful or not. */
    started,
    close() {
      isClosed = true;
      return stop();
    },
  };
}

function isInForce({ revokedAt, expiresAt }: NonNullable<KeySnapshot['keys']>[number], now: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now);
}
