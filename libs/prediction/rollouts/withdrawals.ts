/**
 * The count of withdrawals in Redis. A rollback, an abort, a promotion, an adoption or the end of a predictor withdraws
 * predictions. Postgres counts each in its transaction, and Redis has the count before the caller is answered. So a
 * process that Postgres does not answer compares the counts, and serves nothing that was withdrawn.
 */

import type { HistoryCount } from '@tandem/freshness/certificate';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { OnlineCount } from '../erasure/erasure.ts';
import type { RolloutStore } from './rollout-store.ts';

interface WithdrawalDependencies {
  /** Returns the count in Postgres. */
  readonly countWithdrawals: () => Promise<HistoryCount>;
  readonly online: OnlineCount;
}

/**
 * Resolves when Redis has the count of all committed withdrawals. Rejects with `unavailable` if Redis or Postgres does
 * not answer; a worker's next round then confirms them.
 */
export type ConfirmWithdrawals = () => Promise<void>;

export function createConfirmWithdrawals({ countWithdrawals, online }: WithdrawalDependencies): ConfirmWithdrawals {
  return async () => {
    try {
      await online.raise(await countWithdrawals());
    } catch (cause) {
      throw isTandemError(cause, 'unavailable') ? notConfirmed(cause) : cause;
    }
  };
}

/** The remedy of a change that is committed but not confirmed. */
export const NOT_CONFIRMED =
  'do not repeat it: workers confirm it within seconds of the return of Redis; until then, a process that reaches Redis but not Postgres may serve what it withdraws, as unverified';

function notConfirmed(cause: TandemError): TandemError {
  const text = 'The change is committed and applies to every certified read, but Redis did not confirm it.';
  return new TandemError('unavailable', text, { cause, remedy: NOT_CONFIRMED });
}

/** Restores the count in a Redis that lost it or missed a withdrawal. Every worker runs it every few seconds. */
export function createKeepWithdrawals({ countWithdrawals, online }: WithdrawalDependencies): () => Promise<void> {
  return async () => {
    const [told, committed] = await Promise.all([online.told(), countWithdrawals()]);
    if (told?.history === committed.history && told.count >= committed.count) return;
    await online.restore(countWithdrawals);
  };
}

/** Returns the call, which resolves only once its withdrawals are confirmed. */
export function confirming<A extends readonly unknown[], R>(
  call: (...args: A) => Promise<R>,
  confirm: ConfirmWithdrawals,
): (...args: A) => Promise<R> {
  return async (...args) => {
    const result = await call(...args);
    await confirm();
    return result;
  };
}

/** Returns the store, whose moves that withdraw an arm resolve only once they are confirmed. */
export function withConfirmedMoves(rollouts: RolloutStore, confirm: ConfirmWithdrawals): RolloutStore {
  const { advance, promote, abort, end } = rollouts;
  return {
    ...rollouts,
    advance: confirming(advance, confirm),
    promote: confirming(promote, confirm),
    abort: confirming(abort, confirm),
    end: confirming(end, confirm),
  };
}
