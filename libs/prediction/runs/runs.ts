/**
 * Batch runs as ops see them, and the port to where their truth lies. A run is planned into chunks of a key range; a
 * worker claims a chunk by compare-and-set, with a fence and a lease, and commits its predictions and its progress in
 * one transaction that the fence guards. A queue's job is only a hint to look here.
 */
import type { KeyRange } from '../scoring/feature-source.ts';
import type { Budget } from './budget.ts';
import type { ScoredUsers } from './scored-users.ts';

export type RunScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'users'; readonly userIds: readonly string[] };

export type RunState = 'planned' | 'running' | 'publishing' | 'done' | 'done_with_errors' | 'failed' | 'cancelled';

export interface Run {
  readonly id: string;
  readonly predictor: string;
  readonly scope: RunScope['kind'];
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly overlayFloor: number;
  /** The predictor's source version before any features were read: above it, what the run makes is stale. */
  readonly sourceVersion: number;
  readonly history: string;
  readonly scheduleSlot: Date | null;
  readonly state: RunState;
  /** Who asked: `api`, `cli`, `schedule`, … */
  readonly reason: string;
  /** What it may cost; null: no limit. */
  readonly budget: Budget | null;
  readonly error: string | null;
  /** Attempts at the run's current step, planning or publishing; at its last one where it has ended. */
  readonly attempts: number;
  /** Why the last attempt at that step failed; null where it did not. */
  readonly attemptError: string | null;
  readonly usersExpected: number;
  readonly usersScored: number;
  readonly usersFailed: number;
  readonly chunkCount: number;
  readonly chunksCommitted: number;
  /** What a chunk is meant to take, in ms: its users were chosen by that. */
  readonly chunkMs: number;
  /** Of scope `all`: the generation it makes. */
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

/** What a run needs beside its chunks: to be cut into them, and to be checked, compared and published. */
export type RunStep = 'plan' | 'publish';

/** A step as its claimer holds it; each later claim raises the fence. */
export interface ClaimedStep {
  readonly runId: string;
  readonly predictor: string;
  readonly step: RunStep;
  readonly fence: number;
  readonly attempts: number;
  /** Whether another worker had it, whose lease is over. */
  readonly takenOver: boolean;
  /** The database's history at the claim: what was read in another one is not written. */
  readonly history: string;
}

/** A step that has failed its run instead of being claimed: too many workers in a row died of it. */
export interface DeadStep extends Pick<ClaimedStep, 'predictor' | 'fence' | 'attempts' | 'takenOver'> {
  /** Why the run has failed. */
  readonly failed: string;
}

/** An unfinished run as the reconciler sees it. */
export interface UnfinishedRun extends Run {
  /** Whether its next step can be claimed: no worker holds it, nor the same step of another run of the predictor. */
  readonly isStepFree: boolean;
}

/** A chunk as its claimer holds it; whoever claims it later holds a higher fence. */
export interface ClaimedChunk {
  readonly runId: string;
  readonly no: number;
  readonly fence: number;
  readonly attempts: number;
  /** Whether another worker had it, whose lease is over. */
  readonly takenOver: boolean;
  /** A key range, or the users by name. */
  readonly part: { readonly range: KeyRange } | { readonly userIds: readonly string[] };
}

/** A chunk that has failed instead of being claimed: too many workers in a row died of it. */
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
  /** CPU time of the worker and its inference, in ms; null where it is not measured. */
  readonly cpuMs?: number | null;
  /** Users that were read and not scored: the commit makes chunks of them. */
  readonly handedBack?: HandedBack;
}

export interface HandedBack {
  readonly userIds: readonly string[];
  /** Users of each chunk. */
  readonly chunkSize: number;
}

/** What a commit wrote; users erased since the read are not in `written`. */
export type CommitOutcome =
  | {
      readonly committed: true;
      readonly written: ScoredUsers;
      readonly chunksOpen: number;
      /** Numbers of the chunks of those handed back. */
      readonly splitOff: readonly number[];
    }
  | { readonly committed: false; readonly why: 'fence_lost' | 'history_changed' | 'run_ended' };

export function isFinished(state: RunState): boolean {
  return state === 'done' || state === 'done_with_errors' || state === 'failed' || state === 'cancelled';
}
