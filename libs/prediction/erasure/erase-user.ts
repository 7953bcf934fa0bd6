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
    const postgres = { contextValues, ...(await store.deleteRows([tombstone.number])) };
    const locations = await store.locations();
    try {
      await online.tell(tombstone);
      const redis = await online.forget([userId], locations);
      return { tombstone, postgres, redis };
    } catch (cause) {
      throw isTandemError(cause, 'unavailable') ? notAcknowledged(cause, postgres) : cause;
    }
  };
}

/** Returns an error with the counts of records deleted in Postgres: the receipt of a retry no longer has them. */
function notAcknowledged(cause: TandemError, postgres: ErasureReceipt['postgres']): TandemError {
  const counts = Object.entries(postgres).filter(([, count]) => count > 0);
  const deleted = counts.map(([records, count]) => `${records} ${count}`).join(', ') || 'no records';
  const text = `The user is erased, but Redis did not confirm its deletes. Deleted in Postgres: ${deleted}.`;
  return new TandemError('unavailable', text, {
    cause,
    retryAfter: 1,
    remedy:
      'retry after the time in Retry-After to confirm the deletes in Redis; no prediction of the user is served meanwhile, and the receipt of the retry counts only what was still left to delete',
  });
}
