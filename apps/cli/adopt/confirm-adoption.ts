/** Confirms to Redis that an adoption replaced what was served. */
import { TandemError } from '@tandem/freshness/errors';
import { findCount } from '@tandem/offline-store/sql/settings';
import { createCount } from '@tandem/online-store/told-counts';
import type { OnlineCount } from '@tandem/prediction/online-count';
import { createConfirming, NOT_CONFIRMED } from '@tandem/prediction/rollouts/withdrawals';
import { withRedis } from '../doctor/reach-redis.ts';

/**
 * Runs an adoption. If it withdraws predictions, resolves only once Redis has their count. Rejects with
 * `not_confirmed` if Redis does not confirm it; the adoption is then complete nevertheless.
 * @param redisUrl undefined: workers confirm the adoption, which the line to `say` tells
 */
export function confirmAdoption<T>(
  pool: Parameters<typeof findCount>[0],
  adopt: () => Promise<T>,
  { redisUrl, say }: { readonly redisUrl: string | undefined; readonly say: (line: string) => void },
): Promise<T> {
  const raise: OnlineCount['raise'] = async (count) => {
    if (redisUrl === undefined) {
      say('REDIS_URL is not set: workers confirm within seconds that no process serves what this adoption replaces');
      return;
    }
    const raised = withRedis(redisUrl, (connection) => createCount('withdrawals', { connection }).raise(count));
    await raised.catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      const text = `The config is adopted, but Redis did not confirm it: ${why}`;
      throw new TandemError('not_confirmed', text, { cause, remedy: NOT_CONFIRMED });
    });
  };
  return createConfirming({ countWithdrawals: () => findCount(pool, 'withdrawals'), online: { raise } })(adopt);
}
