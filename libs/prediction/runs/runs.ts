/**
 * Batch runs as operators see them, and the port to their store. A run is planned into chunks of a key range. A worker
 * claims a chunk by compare-and-set, with a fence and a lease, and commits predictions and progress in one transaction
 * that the fence guards. A queue's job is only a hint to look here.
 */
import type { KeyRange } from '../scoring/feature-source.ts';
import type { Budget } from './budget.ts';
import type { ScoredUsers } from './scored-users.ts';

export type RunScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'users'; readonly userIds: readonly string[] };

export type RunState = 'planned' | 'running' | 'publishing' | 'done' | 'done_with_errors' | 'failed' | 'cancelled';

/** The error of a failed run of a feature query without users. Its chunks are committed, so a resume cannot help. */
export const NO_ROWS = 'the feature query has no rows; check the table that it reads, then start another run';

/** How the error of a failed run begins whose generation was held back. */
export const HELD_BACK = 'held back: ';

export interface Run {
  readonly id: string;
  readonly predictor: string;
  readonly scope: RunScope['kind'];
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly overlayFloor: number;
  /**
   * The predictor's source version before any features were read. If the current source version is higher, the run's
   * generation is stale.
   */
  readonly sourceVersion: number;
  readonly history: string;
  readonly scheduleSlot: Date | null;
  readonly state: RunState;
  /** The origin of the run: `api`, `cli`, `schedule`, … */
  readonly reason: string;
  /** The budget; null if there is no limit. */
  readonly budget: Budget | null;
  readonly error: string | null;
  /** The number of attempts at the run's current step, planning or publishing; for a finished run, at its last step. */
  readonly attempts: number;
  /** Why the last attempt at that step failed; null if it did not. */
  readonly attemptError: string | null;
  readonly usersExpected: number;
  readonly usersScored: number;
  readonly usersFailed: number;
  readonly chunkCount: number;
  readonly chunksCommitted: number;
  /** The intended duration of a chunk in ms, from which its number of users was computed. */
  readonly chunkMs: number;
  /** Scope `all` only: the generation that the run makes. */
  readonly generationId: string | null;
  readonly generationNumber: number | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

export interface RunFailure {
  readonly userId: string;
  readonly reason: string;
}

interface Claim {
  readonly runId: string;
  /** Each claim raises the fence by one. */
  readonly fence: number;
  readonly attempts: number;
  /** Whether another worker held the lease until it expired. */
  readonly takenOver: boolean;
}

/** A step of a run other than its chunks: planning the chunks, or checking, comparing and publishing the result. */
export type RunStep = 'plan' | 'publish';

/** A claimed step. A later claim has a higher fence. */
export interface ClaimedStep extends Claim {
  readonly predictor: string;
  readonly step: RunStep;
  /** The database's history at the claim. Results that were read in another history are not written. */
  readonly history: string;
}

/** A step that failed its run instead of being claimed: too many workers in a row died on it. */
export interface DeadStep extends Pick<ClaimedStep, 'predictor' | 'fence' | 'attempts' | 'takenOver'> {
  /** Why the run has failed. */
  readonly failed: string;
}

/** An unfinished run as the reconciler sees it. */
export interface UnfinishedRun extends Run {
  /**
   * Whether its next step can be claimed: no worker holds the step, nor the same step of another run of the predictor.
   */
  readonly isStepFree: boolean;
}

/** A claimed chunk. A later claim has a higher fence. */
export interface ClaimedChunk extends Claim {
  readonly no: number;
  /** A key range, or named users. */
  readonly part: { readonly range: KeyRange } | { readonly userIds: readonly string[] };
}

/** A chunk that failed instead of being claimed: too many workers in a row died on it. */
export interface DeadChunk extends Pick<ClaimedChunk, 'fence' | 'takenOver'> {
  /** Why the chunk has failed. */
  readonly failed: string;
}

export interface ChunkResult {
  readonly history: string;
  /** When the features were read, ms since 1970 on Postgres' clock. */
  readonly computedAt: number;
  readonly scored: ScoredUsers;
  readonly failures: readonly RunFailure[];
  /** CPU time of the worker and its inference, in ms; null if it is not measured. */
  readonly cpuMs?: number | null;
  /** Users that were read but not scored: the commit makes chunks of them. */
  readonly handedBack?: HandedBack;
}

export interface HandedBack {
  readonly userIds: readonly string[];
  /** The number of users in each chunk. */
  readonly chunkSize: number;
}

/** The result of a commit. Users that were erased since the read are not in `written`. */
export type CommitOutcome =
  | {
      readonly committed: true;
      readonly written: ScoredUsers;
      readonly chunksOpen: number;
      /** The numbers of the chunks that were made of returned users. */
      readonly splitOff: readonly number[];
    }
  | { readonly committed: false; readonly why: 'fence_lost' | 'history_changed' | 'run_ended' };

export function isFinished(state: RunState): boolean {
  return state === 'done' || state === 'done_with_errors' || state === 'failed' || state === 'cancelled';
}
