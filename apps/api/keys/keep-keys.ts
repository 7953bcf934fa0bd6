/**
 * Keeps a ring of keys as Postgres has them: asks once a second, by one small statement that brings the keys only when one
 * has changed. So a revocation counts in every process a second or so after its commit, and no request waits for it.
 * While Postgres is away what is known goes on counting, until the ring does not believe it any more.
 */
import type { KeyRing, KeySnapshot } from '@tandem/prediction/keys/key-ring';
import type { Log } from '@tandem/telemetry/log';
import { repeat } from '@tandem/timing/repeat';

interface KeyKeeperParts {
  readonly ring: KeyRing;
  /** Of the pepper that keys are checked under here. */
  readonly pepperId: string;
  /** All keys, or that nothing has changed since the version that is known. */
  read(knownVersion: string): Promise<KeySnapshot>;
  readonly log: Log;
  /** Milliseconds between two questions. */
  readonly everyMs?: number | undefined;
}

export interface KeyKeeper {
  /** Resolves after the first question, whichever way it ended. */
  readonly started: Promise<void>;
  close(): Promise<void>;
}

const EVERY_MS = 1_000;

export function keepKeys({ ring, pepperId, read, log, everyMs = EVERY_MS }: KeyKeeperParts): KeyKeeper {
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
