/**
 * Makes one attempt at a step of a run: claims it, works under its lease, and releases it after an error. A hint at a
 * step that cannot be claimed ends immediately, so that a long step of one predictor delays no other. A kill costs the
 * time until the lease expires.
 */
import { isTransient, reasonOf, unreachable } from '@tandem/freshness/errors';
import { holdLease, type LeaseTimes } from './lease.ts';
import type { RunHints, RunStore } from './run-store.ts';
import type { ClaimedStep, Run, RunState, RunStep, UnfinishedRun } from './runs.ts';

export interface StepDependencies {
  readonly runs: Pick<RunStore, 'claimStep' | 'renewStep' | 'giveBackStep' | 'releaseStep'>;
  readonly lease: LeaseTimes;
  /** Aborts when the process must end: a current step is released immediately for another worker. */
  readonly stopping?: AbortSignal;
}

/** The attempt at a step, for the log. */
type StepAttempt = Pick<ClaimedStep, 'predictor' | 'fence' | 'attempts' | 'takenOver'>;

type StepOutcome<T> =
  | { readonly outcome: 'done'; readonly result: T }
  /** Nothing was written: another worker holds the step, or the run has ended or begins again. */
  | { readonly outcome: 'abandoned' }
  /** An error occurred; the step waits for another attempt. */
  | { readonly outcome: 'given_back'; readonly error: string }
  /** This process must end: the step is free for another worker, and the attempt does not count. */
  | { readonly outcome: 'stopped' }
  /** The error is permanent, or it was the last allowed error: the run has failed. */
  | { readonly outcome: 'failed'; readonly error: string };

export type StepReport<T> = { readonly outcome: 'nothing_to_do' } | (StepOutcome<T> & StepAttempt);

interface StepOptions {
  /** The number of errors of the step itself after which the run fails. */
  readonly maxAttempts: number;
  /**
   * The number of attempts that may fail because the database does not answer or a lock is held, before the run fails.
   */
  readonly maxTransientAttempts?: number;
  /** Called after each renewal of the lease. */
  onProgress(): void;
}

/**
 * Does the work of the step. Returns null if it wrote nothing, since the fence is lost or the run begins again.
 * @param lost aborts when the lease is lost, the run has ended, or this process must end
 */
export type StepWork<T> = (claimed: ClaimedStep, lost: AbortSignal) => Promise<T | null>;

/**
 * Makes an attempt. Rejects only if the step could not be claimed or released; it can be claimed again when its lease
 * expires.
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
  // If the fence is still held, the claim would block the predictor's other runs until the lease expires.
  await runs.releaseStep(claimed);
  return { outcome: 'abandoned', ...attempt };
}

// Hints tell workers which work of a run can be done next.

interface HintAtNextDependencies {
  readonly runs: Pick<RunStore, 'claimable'>;
  readonly hints: RunHints;
}

/** The maximum number of chunks of a run in hints. reconcile.ts adds hints as chunks are done. */
export const HINTED_CHUNKS = 200;

/** Hints at the next step of a run if it can be claimed. Returns the number of chunks in the hints. */
export async function hintAtNext({ runs, hints }: HintAtNextDependencies, run: UnfinishedRun): Promise<number> {
  const state: RunState = run.state;
  switch (state) {
    case 'planned':
      if (run.isStepFree) await hints.plan(run.id);
      return 0;
    case 'running':
      return hintAtChunks({ runs, hints }, run);
    case 'publishing':
      if (run.isStepFree) await hints.publish(run.id);
      return 0;
    case 'done':
    case 'done_with_errors':
    case 'failed':
    case 'cancelled':
      return 0;
    default:
      return unreachable(state);
  }
}

/** Hints at the chunks that can be claimed. A run without open chunks is ready to be published. */
export async function hintAtChunks({ runs, hints }: HintAtNextDependencies, run: Run): Promise<number> {
  if (run.chunksCommitted >= run.chunkCount) {
    await hints.publish(run.id);
    return 0;
  }
  const refs = await runs.claimable(run.id, HINTED_CHUNKS);
  if (refs.length > 0) await hints.chunks(refs);
  return refs.length;
}

/**
 * Hints at the runs of the predictor that waited for an ended step, so that they do not wait for the reconciler. An
 * error is ignored: the next round of the reconciler hints at the same runs.
 * @param state the state of runs that wait for the same step
 */
export async function hintAtWaiting(
  dependencies: HintAtNextDependencies & { readonly runs: Pick<RunStore, 'unfinished'> },
  predictor: string,
  state: 'planned' | 'publishing',
): Promise<void> {
  try {
    const waiting = (await dependencies.runs.unfinished(predictor)).filter((run) => run.state === state);
    for (const run of waiting) await hintAtNext(dependencies, run);
  } catch {
    return;
  }
}
