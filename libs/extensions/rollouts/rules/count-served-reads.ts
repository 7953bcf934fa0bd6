/**
 * Counts the reads that an API process answers during a rollout: sums for each arm, and the users that it served for
 * the first time. The counts are flushed every few seconds. Reads do not wait for a flush. A failed flush is retried
 * with the next one; a killed process loses its last seconds.
 */
import type { ReadResult } from '@tandem/freshness/answer';
import type { Assignments, ServedRollout } from '@tandem/freshness/certificate';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TandemError } from '@tandem/freshness/errors';
import type { Policy, Prediction, Predictor } from '@tandem/freshness/predictor';
import { WriteBehind } from '@tandem/timing/write-behind';
import { type ArmCountStore, createServedCounter } from './arm-counts.ts';
import { createExposureLog, type Exposure, type ExposureStore, type ServedSource } from './exposures.ts';

interface ServedReadsDependencies {
  readonly counts: ArmCountStore;
  readonly exposures: ExposureStore;
  /** Returns the last known assignments, which give the arm of a failed read. */
  assignments(predictor: string): Assignments | undefined;
  /** Returns whether this process may infer live with a version; absent: with any version. */
  readonly mayInfer?: ((modelVersionId: string) => boolean) | undefined;
  /** Returns a UUID. */
  readonly newId: () => string;
  /** A clock in milliseconds that only rises. */
  readonly now: () => number;
  readonly onFlush: (outcome: 'ok' | 'failed', error?: unknown) => void;
  readonly flushMs?: number;
}

/** The result of one user in an answered read. */
interface ReadOfUser {
  readonly predictor: Predictor;
  readonly userId: string;
  readonly result: ReadResult;
  /** Duration of the whole read. */
  readonly ms: number;
}

const FLUSH_MS = 5_000;
/** The maximum number of exposures in a statement. This many are written without waiting for the next flush. */
const BATCH = 5_000;
const MAX_WAITING = 50_000;

/** Errors that the arm or the service caused. Other errors are the caller's, or mean that the user does not exist. */
const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'no_prediction',
  'features_failed',
  'live_timeout',
  // A missed deadline of the caller. Reads of callers that have disconnected are not counted.
  'caller_gone',
  'live_failed',
  'features_unusable',
  'output_unusable',
  'request_features_required',
  'overloaded',
  'unavailable',
]);

export function createServedReads(dependencies: ServedReadsDependencies) {
  const { counts, exposures, assignments, newId, now, onFlush } = dependencies;
  const { flushMs = FLUSH_MS, mayInfer = () => true } = dependencies;
  const counter = createServedCounter(newId);
  const waiting = new WriteBehind<Exposure>({
    maxWaiting: MAX_WAITING,
    batch: BATCH,
    flushAt: BATCH,
    flushMs,
    onFailure: 'retry',
    before: putSums,
    write: (batch) => exposures.put(batch, now()),
    onFlush(outcome, error) {
      onFlush(outcome, error);
      // Sums can change without a new exposure.
      waiting.schedule();
    },
  });
  waiting.schedule();
  const log = createExposureLog({ now, add: (exposure) => waiting.add(exposure) });

  function noteServed(rollout: ServedRollout, arm: string, source: ServedSource, read: ReadOfUser): void {
    const { predictor, result, userId, ms } = read;
    const answer = result instanceof TandemError ? undefined : result;
    const isInferred = answer !== undefined && source !== 'default';
    const score = isInferred ? decidingScore(predictor.policy, answer.prediction) : undefined;
    const isUncounted = answer?.isOverQuota || isOfProcess(source, read);
    if (!isUncounted) counter.count(rollout, { arm, userId, source, ms, score });
    log.note(rollout, { arm, userId, source, contextVersion: answer?.contextVersion ?? 0 });
  }

  /** Returns whether the answer is due to this process, which lacks the version, rather than to the arm. */
  function isOfProcess(source: ServedSource, { predictor, userId }: ReadOfUser): boolean {
    if (source === 'batch' || source === 'live') return false;
    const modelVersionId = assignments(predictor.name)?.of(userId).modelVersionId;
    return modelVersionId !== undefined && !mayInfer(modelVersionId);
  }

  function noteFailed(error: TandemError, read: ReadOfUser): void {
    if (!FAILURES.has(error.code)) return;
    const known = assignments(read.predictor.name);
    if (!known?.rollout) return;
    const rollout = known.rollout.servedTo(read.userId);
    noteServed(rollout, known.of(read.userId).arm, 'error', read);
  }

  async function putSums(): Promise<void> {
    const sums = counter.changed();
    if (sums.length === 0) return;
    await counts.put(sums);
    counter.told(sums);
  }

  return {
    note(read: ReadOfUser): void {
      const { result } = read;
      if (result instanceof TandemError) noteFailed(result, read);
      else if (result.rollout !== null) noteServed(result.rollout, result.variant, result.source, read);
    },
    /** Returns the number of exposures that were dropped since the start for lack of room. */
    dropped: (): number => waiting.dropped,
    /** Writes the waiting counts, then writes nothing more. */
    close: (): Promise<void> => waiting.close(),
  };
}

/**
 * Returns the output of the predictor's decision; without a decision, the first number, as in reports of generations.
 */
function decidingScore({ decision }: Policy, prediction: Prediction): number | undefined {
  const value =
    decision === undefined
      ? Object.values(prediction).find((one) => typeof one === 'number')
      : prediction[decision.output];
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'number' ? value : undefined;
}
