/** Port of the run use cases: where runs, chunks and generations have their truth. Each call is one transaction. */
import type { GenerationReport } from '../reports/generation-report.ts';
import type { Generation } from './generations.ts';
import type { ChunkResult, ClaimedChunk, CommitOutcome, Run, RunFailure, RunScope } from './runs.ts';

export interface NewRun {
  readonly predictor: string;
  readonly scope: RunScope;
  /** Who asked: `api`, `cli`, `schedule`. */
  readonly reason: string;
  /** The scheduled moment; a second run of the same slot and model version is not created, the first is returned. */
  readonly scheduleSlot: Date | null;
  /** The arm whose model version scores; the stable one where it is not said. */
  readonly variant?: string;
}

export interface ChunkRef {
  readonly runId: string;
  readonly no: number;
  /** The fence of the last claim; the next claim's is one higher. */
  readonly fence: number;
}

export interface PublishOutcome {
  readonly state: 'done' | 'done_with_errors' | 'failed';
  /** Why it failed, or why the generation was published without being put in force. */
  readonly note: string | null;
  /** The generation that is now in force, where this run made one. */
  readonly generation: Generation | null;
  /** The comparison that this call made; null where it made none. */
  readonly report: (GenerationReport & { readonly against: { readonly number: number } | null }) | null;
}

export interface RunStore {
  /** Rejects with `unknown_predictor`, or `run_conflict` where an `all` run of the predictor is unfinished. */
  create(run: NewRun): Promise<{ run: Run; created: boolean }>;
  find(id: string): Promise<Run | undefined>;
  /** Newest first; `before` is the id of the last run of the page before. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Run[]>;
  failures(runId: string, limit: number): Promise<readonly RunFailure[]>;
  /**
   * Cuts a planned run into chunks, and for scope `all` makes its generation and partition. A `stale` run that would
   * cover more than a fifth of the users becomes `all`. Does nothing for a run that is planned already.
   */
  plan(runId: string): Promise<Run>;
  /** Chunks that wait, or whose lease is over. */
  claimable(runId: string, limit: number): Promise<readonly ChunkRef[]>;
  /** Takes a chunk that waits or whose lease is over; null where there is none to take (taken, done, run ended). */
  claim(runId: string, no: number, leaseMs: number): Promise<ClaimedChunk | null>;
  /** Extends the lease; false where the fence is lost. */
  renew(chunk: ClaimedChunk, leaseMs: number): Promise<boolean>;
  /** Gives a chunk back after an error; after `maxAttempts` it is failed, and with it the run. */
  giveBack(chunk: ClaimedChunk, error: string, maxAttempts: number): Promise<'waiting' | 'failed' | 'fence_lost'>;
  /** B6: predictions and progress in one transaction, guarded by fence and history. */
  commit(run: Run, chunk: ClaimedChunk, result: ChunkResult): Promise<CommitOutcome>;
  markLoaded(runId: string, no: number): Promise<void>;
  /** B9: checks, pointer, state, in one transaction; safe to repeat. Null while chunks are open, or open again. */
  publish(runId: string): Promise<PublishOutcome | null>;
  /** Chunks that wait are dropped; those under way commit nothing more. Rejects `run_conflict` for a finished run. */
  cancel(runId: string): Promise<Run>;
  /** Ends a run that cannot go on, with the reason; does nothing for a finished one. */
  fail(runId: string, error: string): Promise<Run>;
  /** A cancelled or failed run goes on with the chunks that are not committed. Rejects `run_conflict` otherwise. */
  resume(runId: string): Promise<Run>;
  /** Runs that are not finished: for the reconciler. */
  unfinished(): Promise<readonly Run[]>;
}

export interface RollbackRequest {
  readonly predictor: string;
  /** The generation's number; null: as rollback-target.ts says. */
  readonly to: number | null;
  readonly actor: string;
}

export interface GenerationStore {
  list(predictor: string): Promise<readonly Generation[]>;
  find(id: string): Promise<Generation | undefined>;
  /** Those that an arm points at. */
  inForce(): Promise<readonly Generation[]>;
  /** Pointer back, floor and revision up, expiry restarted, audit row: one transaction. */
  rollBack(request: RollbackRequest): Promise<{ from: Generation | null; to: Generation }>;
  /** Drops what retention does not keep; gives those dropped, whose keys Redis may forget. */
  dropRetired(): Promise<readonly Generation[]>;
  /** Committed predictions of a generation in pages, for the loader. */
  pages(generation: Generation, pageSize: number): AsyncIterable<readonly StoredRow[]>;
}

export interface StoredRow {
  readonly userId: string;
  readonly contextVersion: number;
  /** ms since 1970. */
  readonly computedAt: number;
  readonly outputs: Buffer;
}
