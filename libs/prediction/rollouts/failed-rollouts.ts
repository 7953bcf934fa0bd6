/** One rollout must not hold up the others: what fails of it is told beside them, and tried again in the next round. */
import { isTandemError } from '@tandem/freshness/errors';
import type { Rollout } from '@tandem/freshness/rollout';

export interface FailedRollout {
  readonly rollout: Rollout;
  readonly error: unknown;
}

/**
 * What the work gives; undefined where it failed, which is put down in `failed`. That somebody ended or moved the rollout
 * in the meantime is no failure.
 */
export async function orFailed<T>(
  rollout: Rollout,
  failed: FailedRollout[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isTandemError(error, 'rollout_conflict', 'unknown_rollout')) failed.push({ rollout, error });
    return undefined;
  }
}
