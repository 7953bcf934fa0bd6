/**
 * Erases a user. The tombstone comes first and applies from its commit. Then rows are deleted, then keys in Redis.
 * Redis gets the new version before anything is deleted there, so that no earlier entry returns to the overlay. The
 * receipt comes last. Repeating an erasure is safe: the tombstone stays, and remaining records are deleted.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { PredictionMemory } from '@tandem/freshness/prediction-memory';
import type { ErasureReceipt, ErasureStore, OnlineErasures } from './erasure.ts';

interface EraseUserDependencies {
  readonly store: Pick<ErasureStore, 'setTombstone' | 'deleteRows' | 'locations'>;
  readonly online: Pick<OnlineErasures, 'tell' | 'forget'>;
  /**
   * The prediction memory of this process. Other processes drop the user's predictions at the next read of the user, or
   * when they expire.
   */
  readonly memory: Pick<PredictionMemory, 'forgetUser'>;
}

/** Rejects with `unavailable` if a store did not answer. Committed changes stay, and the call may be repeated. */
export type EraseUser = (userId: string) => Promise<ErasureReceipt>;

export function createEraseUser({ store, online, memory }: EraseUserDependencies): EraseUser {
  return async function eraseUser(userId) {
    const { tombstone, contextValues } = await store.setTombstone(userId);
    memory.forgetUser(userId);
    const rows = await store.deleteRows([tombstone.number]);
    const locations = await store.locations();
    try {
      await online.tell(tombstone);
      const redis = await online.forget([userId], locations);
      return { tombstone, postgres: { contextValues, ...rows }, redis };
    } catch (cause) {
      throw isTandemError(cause, 'unavailable') ? notAcknowledged(cause) : cause;
    }
  };
}

function notAcknowledged(cause: TandemError): TandemError {
  return new TandemError('unavailable', 'The user is erased, but Redis did not confirm its deletes.', {
    cause,
    retryAfter: 1,
    remedy: 'retry after the time in Retry-After to get the receipt; no prediction of the user is served meanwhile',
  });
}
