/**
 * One attempt at a step of a run: claim it, work under its lease, free it after an error. A hint at a step that cannot be
 * claimed ends at once, so that a long step of one predictor holds up no other. A kill costs the time until the lease ends.
 */
import { isTransient, reasonOf } from '../errors.ts';
import { holdLease, type LeaseTimes } from './lease.ts';
import type { RunStore } from './run-store.ts';
import type { ClaimedStep, RunStep } from './runs.ts';

export interface StepDependencies {
  readonly runs: Pick<RunStore, 'claimStep' | 'renewStep' | 'giveBackStep'>;
  readonly lease: LeaseTimes;
  /** Aborts when the process is to end: a step under way is given back at once, for another worker. */
  readonly stopping?: AbortSignal;
}

/** Which attempt it was, for the log. */
export type StepAttempt = Pick<ClaimedStep, 'fence' | 'attempts' | 'takenOver'>;

export type StepOutcome<T> =
  | { readonly outcome: 'done'; readonly result: T }
  /** Nothing was written: another worker holds the step, or the run has ended or begins again. */
  | { readonly outcome: 'abandoned' }
  /** An error; the step waits for another attempt. */
  | { readonly outcome: 'given_back'; readonly error: string }
  /** An error that no other attempt would spare, or one too many: the run has failed. */
  | { readonly outcome: 'failed'; readonly error: string };

export type StepReport<T> = { readonly outcome: 'nothing_to_do' } | (StepOutcome<T> & StepAttempt);

export interface StepOptions {
  /** Errors of the step itself after which the run fails. */
  readonly maxAttempts: number;
  /** Attempts that a database that does not answer, or a lock that is held, may cost before the run fails. */
  readonly maxTransientAttempts?: number;
  /** Told of each renewal of the lease. */
  onProgress(): void;
}

/** Gives null where it found the fence lost. @param lost aborts when the lease is lost, or the run has ended */
export type StepWork<T> = (claimed: ClaimedStep, lost: AbortSignal) => Promise<T | null>;

/**
 * Rejects only where the step could not be claimed or given back: then its lease or the next hint brings it again.
 */
export async function workStep<T>(
  { runs, lease, stopping }: StepDependencies,
  runId: string,
  step: RunStep,
  { maxAttempts, maxTransientAttempts = 40, onProgress }: StepOptions,
  work: StepWork<T>,
): Promise<StepReport<T>> {
  const claimed = await runs.claimStep(runId, step, lease.leaseMs);
  if (!claimed) return { outcome: 'nothing_to_do' };
  const { fence, attempts, takenOver } = claimed;
  const attempt = { fence, attempts, takenOver };
  const renew = async (leaseMs: number) => {
    const isHeld = await runs.renewStep(claimed, leaseMs);
    onProgress();
    return isHeld;
  };
  const held = holdLease(renew, lease);
  try {
    const result = await work(claimed, stopping ? AbortSignal.any([held.lost, stopping]) : held.lost);
    return result === null ? { outcome: 'abandoned', ...attempt } : { outcome: 'done', result, ...attempt };
  } catch (cause) {
    if (held.lost.aborted) return { outcome: 'abandoned', ...attempt };
    const error = reasonOf(cause);
    const limit = isTransient(cause) ? maxTransientAttempts : maxAttempts;
    const state = await runs.giveBackStep(claimed, error, stopping?.aborted ? Number.POSITIVE_INFINITY : limit);
    if (state === 'fence_lost') return { outcome: 'abandoned', ...attempt };
    return { outcome: state === 'failed' ? 'failed' : 'given_back', error, ...attempt };
  } finally {
    held.release();
  }
}
