/**
 * One attempt at a step of a run: claim it, work under its lease, free it after an error. A hint at a step that cannot be
 * claimed ends at once, so that a long step of one predictor holds up no other. A kill costs the time until the lease ends.
 */
import { isTransient, reasonOf } from '@tandem/freshness/errors';
import { holdLease, type LeaseTimes } from './lease.ts';
import type { RunStore } from './run-store.ts';
import type { ClaimedStep, RunStep } from './runs.ts';

export interface StepDependencies {
  readonly runs: Pick<RunStore, 'claimStep' | 'renewStep' | 'giveBackStep' | 'releaseStep'>;
  readonly lease: LeaseTimes;
  /** Aborts when the process is to end: a step under way is released at once, for another worker. */
  readonly stopping?: AbortSignal;
}

/** The attempt at a step, for the log. */
export type StepAttempt = Pick<ClaimedStep, 'predictor' | 'fence' | 'attempts' | 'takenOver'>;

export type StepOutcome<T> =
  | { readonly outcome: 'done'; readonly result: T }
  /** Nothing was written: another worker holds the step, or the run has ended or begins again. */
  | { readonly outcome: 'abandoned' }
  /** An error; the step waits for another attempt. */
  | { readonly outcome: 'given_back'; readonly error: string }
  /** This process is to end: the step is free for another worker, and the attempt does not count. */
  | { readonly outcome: 'stopped' }
  /** An error that another attempt would repeat, or the last of the allowed errors: the run has failed. */
  | { readonly outcome: 'failed'; readonly error: string };

export type StepReport<T> = { readonly outcome: 'nothing_to_do' } | (StepOutcome<T> & StepAttempt);

export interface StepOptions {
  /** Errors of the step itself after which the run fails. */
  readonly maxAttempts: number;
  /** Attempts that a database that does not answer, or a lock that is held, may cost before the run fails. */
  readonly maxTransientAttempts?: number;
  /** Called after each renewal of the lease. */
  onProgress(): void;
}

/**
 * Returns null where it wrote nothing: the fence is lost, or the run begins again.
 * @param lost aborts when the lease is lost, the run has ended, or this process is to end
 */
export type StepWork<T> = (claimed: ClaimedStep, lost: AbortSignal) => Promise<T | null>;

/** Rejects only where the step could not be claimed or freed: it is claimed again when its lease ends. */
export async function workStep<T>(
  { runs, lease, stopping }: StepDependencies,
  runId: string,
  step: RunStep,
  { maxAttempts, maxTransientAttempts = 40, onProgress }: StepOptions,
  work: StepWork<T>,
): Promise<StepReport<T>> {
  const claimed = await runs.claimStep(runId, step, lease.leaseMs);
  if (!claimed) return { outcome: 'nothing_to_do' };
  const { predictor, fence, attempts, takenOver } = claimed;
  const attempt = { predictor, fence, attempts, takenOver };
  if ('failed' in claimed) return { outcome: 'failed', error: claimed.failed, ...attempt };
  const renew = async (leaseMs: number) => {
    const isHeld = await runs.renewStep(claimed, leaseMs);
    onProgress();
    return isHeld;
  };
  const held = holdLease(renew, lease);
  let result: T | null;
  try {
    result = await work(claimed, stopping ? AbortSignal.any([held.lost, stopping]) : held.lost);
  } catch (cause) {
    if (held.lost.aborted) return { outcome: 'abandoned', ...attempt };
    if (stopping?.aborted) {
      await runs.releaseStep(claimed);
      return { outcome: 'stopped', ...attempt };
    }
    const error = reasonOf(cause);
    const state = await runs.giveBackStep(claimed, error, isTransient(cause) ? maxTransientAttempts : maxAttempts);
    if (state === 'fence_lost') return { outcome: 'abandoned', ...attempt };
    return { outcome: state === 'failed' ? 'failed' : 'given_back', error, ...attempt };
  } finally {
    held.release();
  }
  if (result !== null) return { outcome: 'done', result, ...attempt };
  // Where the fence is still held, the claim would block the predictor's other runs until the lease ends.
  await runs.releaseStep(claimed);
  return { outcome: 'abandoned', ...attempt };
}
