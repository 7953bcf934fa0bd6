/** The port of the run use cases to the store of runs, chunks and generations. Each call is one transaction. */
import type { LossNotice } from '../events/notice-loss.ts';
import type { GenerationReport, Mover } from '../reports/generation-report.ts';
import type { Budget } from './budget.ts';
import type { Generation } from './generations.ts';
import type {
  ChunkResult,
  ClaimedChunk,
  ClaimedStep,
  CommitOutcome,
  DeadChunk,
  DeadStep,
  Run,
  RunFailure,
  RunScope,
  RunStep,
  UnfinishedRun,
} from './runs.ts';

export interface NewRun {
  readonly predictor: string;
  readonly scope: RunScope;
  /** The origin of the run: `api`, `cli`, `schedule`. */
  readonly reason: string;
  /** The scheduled time. A slot and model version have one run: a second call returns the first run. */
  readonly scheduleSlot: Date | null;
  /** The arm whose model version scores; default: the stable arm. */
  readonly variant?: string;
  /** The budget of the run; scope `all` only. Absent: no limit. */
  readonly budget?: Budget | null;
  /** Whether the schedule of changed users created the run. */
  readonly isOfChanged?: boolean;
  /** The report of a finished run. */
  readonly note?: string;
}

export interface ChunkRef {
  readonly runId: string;
  readonly no: number;
  /** The fence of the last claim. The fence of the next claim is one higher. */
  readonly fence: number;
}

export interface PublishOutcome {
  readonly state: 'done' | 'done_with_errors' | 'failed';
  /** Why the run failed, or why its generation did not become current. */
  readonly note: string | null;
  /** The current generation, if this run made it. */
  readonly generation: Generation | null;
  /** The comparison that this call made; null if it made none. */
  readonly report: (GenerationReport & { readonly against: { readonly number: number } | null }) | null;
}

export interface RunStore {
  /**
   * Rejects with `unknown_predictor`, or with `run_conflict` while an `all` run of the predictor is unfinished; for a
   * slot of changed users also while a `stale` run of the predictor is unfinished.
   */
  create(run: NewRun): Promise<{ run: Run; created: boolean }>;
  find(id: string): Promise<Run | undefined>;
  /** Returns runs, newest first; `before` is the id of the last run on the previous page. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Run[]>;
  failures(runId: string, limit: number): Promise<readonly RunFailure[]>;
  /**
   * Claims a step that the run's state requires and that no worker holds. Returns null if there is no step to claim:
   * the run is in another state, its last attempt has just failed, or another run of the predictor holds the same step.
   */
  claimStep(runId: string, step: RunStep, leaseMs: number): Promise<ClaimedStep | DeadStep | null>;
  /** Extends the lease; returns false if the fence is lost, or the run has ended. */
  renewStep(step: ClaimedStep, leaseMs: number): Promise<boolean>;
  /** Releases a step after an error, for another attempt later. After `maxAttempts` the run fails with the reason. */
  giveBackStep(step: ClaimedStep, error: string, maxAttempts: number): Promise<'waiting' | 'failed' | 'fence_lost'>;
  /** Releases a step that did nothing: it can be claimed immediately, and the claim does not count as an attempt. */
  releaseStep(step: ClaimedStep): Promise<void>;
  /**
   * Cuts the run into chunks, and for scope `all` makes its generation and partition. A `stale` run that would cover
   * more than a fifth of the users becomes `all`. Returns null if the fence is lost or the database's history has
   * changed since the claim. If the feature query does not list its users within the time limit, rejects with an error
   * that names setting and remedy.
   * @param lost ends the scan of the feature query when it aborts
   */
  plan(step: ClaimedStep, lost: AbortSignal): Promise<Run | null>;
  /** Returns chunks that wait or have an expired lease. */
  claimable(runId: string, limit: number): Promise<readonly ChunkRef[]>;
  /**
   * Claims a chunk that waits or has an expired lease. Returns null if it cannot be claimed: it is claimed or done, or
   * the run has ended.
   */
  claim(runId: string, no: number, leaseMs: number): Promise<ClaimedChunk | DeadChunk | null>;
  /** Extends the lease; returns false if the fence is lost. */
  renew(chunk: ClaimedChunk, leaseMs: number): Promise<boolean>;
  /** Returns a chunk to the queue after an error; after `maxAttempts` the chunk fails, and its run with it. */
  giveBack(chunk: ClaimedChunk, error: string, maxAttempts: number): Promise<'waiting' | 'failed' | 'fence_lost'>;
  /**
   * Releases a chunk without any progress: it can be claimed immediately, and the claim does not count as an attempt.
   */
  release(chunk: ClaimedChunk): Promise<void>;
  /** Returns whether no chunk of the run waits for a worker. */
  isDry(runId: string): Promise<boolean>;
  /** Commits predictions, progress and returned users in one transaction, guarded by fence and history (B6). */
  commit(run: Run, chunk: ClaimedChunk, result: ChunkResult): Promise<CommitOutcome>;
  markLoaded(runId: string, no: number): Promise<void>;
  /**
   * Checks and compares, then sets pointer and state in one transaction that the fence guards (B9). Returns null if
   * chunks are open or the fence is lost. Rejects with `unavailable` if it cannot be proven that no past was lost.
   * @param lost ends the statements that index and compare when it aborts
   * @param prove called within that transaction to prove that no past was lost
   */
  publish(step: ClaimedStep, lost: AbortSignal, prove: LossNotice['prove']): Promise<PublishOutcome | null>;
  /**
   * Cancels a run: waiting chunks are dropped, and current chunks and steps write nothing more. Rejects with
   * `run_conflict` for a finished run.
   */
  cancel(runId: string): Promise<Run>;
  /** Resumes a cancelled or failed run with its uncommitted chunks. Rejects with `run_conflict` for other runs. */
  resume(runId: string): Promise<Run>;
  /** Returns the unfinished runs of one predictor, or of all. */
  unfinished(predictor?: string): Promise<readonly UnfinishedRun[]>;
}

export interface RollbackRequest {
  readonly predictor: string;
  /** Number of the target generation; null: chosen by rollback-target.ts. */
  readonly to: number | null;
  /** Whether the generation may be of a model version that was never stable. */
  readonly force?: boolean;
  readonly actor: string;
}

export interface GenerationStore {
  list(predictor: string): Promise<readonly Generation[]>;
  /** Returns the model versions that the stable arm served, newest period first; at most `limit` periods. */
  stableVersions(predictor: string, limit: number): Promise<readonly StableVersion[]>;
  find(id: string): Promise<Generation | undefined>;
  /** Returns the generations that arms are assigned. */
  inForce(): Promise<readonly Generation[]>;
  /**
   * Rolls back in one transaction: moves the pointer, raises floor and revision, restarts the expiry, and writes the
   * audit row.
   */
  rollBack(request: RollbackRequest): Promise<{ from: Generation | null; to: Generation }>;
  /** Drops generations beyond the retention; returns those that Redis may delete. */
  dropRetired(): Promise<readonly Generation[]>;
  /** Reads the committed predictions of a generation in pages, for the loader. */
  pages(generation: Generation, pageSize: number): AsyncIterable<readonly StoredRow[]>;
}

export interface StoredRow {
  readonly userId: string;
  readonly contextVersion: number;
  /** The time at which the features were read, in ms since 1970. */
  readonly computedAt: number;
  readonly outputs: Buffer;
}

// The port to the queue. A hint says that there may be work in Postgres. It carries only ids, may be lost or
// duplicated, and decides nothing. reconcile.ts repeats hints for unfinished work.

export interface RunHints {
  /**
   * Enqueues hints in limited time. Calls never reject: if the queue is unavailable, the reconciler's next round
   * repeats the hints.
   */
  plan(runId: string): Promise<void>;
  chunks(refs: readonly ChunkRef[]): Promise<void>;
  publish(runId: string): Promise<void>;
  /** Hints at a generation to load into the online store again. */
  load(generationId: string): Promise<void>;
}

// The port for comparisons of generations: it stores reports, and publishes a generation that was held back.

/** A stored report. */
export interface KeptReport extends GenerationReport {
  readonly predictor: string;
  /** Number of the generation. */
  readonly generation: number;
  /** Number of the generation that it was compared with; null if there was none or it is no longer known. */
  readonly against: number | null;
  /** The users with the largest changes, largest first, without users erased since. */
  readonly movers: readonly Mover[];
  readonly madeAt: Date;
}

export interface Approval {
  readonly predictor: string;
  /** The generation's number. */
  readonly generation: number;
  /** The approving actor. */
  readonly actor: string;
}

export interface ReportStore {
  /**
   * Returns the report of a generation. Rejects with `unknown_generation` if there is none.
   * @param generation the number of the generation; null: the newest generation with a report
   */
  find(predictor: string, generation: number | null): Promise<KeptReport>;
  /** Returns the held-back generations of a predictor by number, each with why it cannot be approved, or null. */
  listHeld(predictor: string): Promise<ReadonlyMap<number, string | null>>;
  /**
   * Publishes a generation that was held back and makes it current, in one transaction with its audit row. Repeating it
   * has no effect. Rejects with `unknown_generation`, or with `run_conflict` if it was not held back or may no longer
   * become current.
   */
  approve(approval: Approval): Promise<Generation>;
}

// Formerly stable model versions, to which a predictor can return.

/** A period in which the stable arm served one model version. */
export interface StableVersion {
  readonly modelNumber: number;
  readonly since: Date;
  /** The end of the period; null if the version is still stable. */
  readonly until: Date | null;
  /** The kept generation of this version that the stable arm served last; null if none is kept. */
  readonly generationNumber: number | null;
}
