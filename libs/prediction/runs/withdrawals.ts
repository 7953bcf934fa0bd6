/**
 * The count of withdrawals in Redis. A rollback, an abort, a promotion, an adoption or the end of a predictor withdraws
 * predictions. Postgres counts each in its transaction, and Redis has the count before the caller is answered. So a
 * process that Postgres does not answer compares the counts, and serves nothing that was withdrawn.
 */

import type { HistoryCount } from '@tandem/freshness/certificate';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { OnlineCount } from '../online-count.ts';

interface WithdrawalDependencies {
  /** Returns the count in Postgres. */
  readonly countWithdrawals: () => Promise<HistoryCount>;
  readonly online: OnlineCount;
}

/** Runs a call. If it withdrew predictions, resolves only once Redis has their count. */
export type Confirming = <R>(call: () => Promise<R>) => Promise<R>;

/** What to do about a change that is committed but not confirmed. */
export const NOT_CONFIRMED =
  'do not repeat it: workers confirm it within seconds of the return of Redis; until then, a process that reaches Redis \
but not Postgres may serve what it withdraws, as unverified';

/** The returned function rejects with `not_confirmed` if the call succeeded but Redis or Postgres does not confirm it. */
export function createConfirming({
  countWithdrawals,
  online,
}: Pick<WithdrawalDependencies, 'countWithdrawals'> & { readonly online: Pick<OnlineCount, 'raise'> }): Confirming {
  return async (call) => {
    const before = await countWithdrawals();
    const result = await call();
    try {
      const after = await countWithdrawals();
      if (after.count !== before.count || after.history !== before.history) await online.raise(after);
    } catch (cause) {
      throw isTandemError(cause, 'unavailable') ? notConfirmed(cause) : cause;
    }
    return result;
  };
}

function notConfirmed(cause: TandemError): TandemError {
  const text = 'The change is committed and applies to every certified read, but Redis did not confirm it.';
  return new TandemError('not_confirmed', text, { cause, remedy: NOT_CONFIRMED });
}

/** Restores the count in a Redis that lost it or missed a withdrawal. Every worker runs it every few seconds. */
export function createKeepWithdrawals({ countWithdrawals, online }: WithdrawalDependencies): () => Promise<void> {
  return async () => {
    const [told, committed] = await Promise.all([online.told(), countWithdrawals()]);
    if (told?.history === committed.history && told.count >= committed.count) return;
    await online.restore(countWithdrawals);
  };
}
