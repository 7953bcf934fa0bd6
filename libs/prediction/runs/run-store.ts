/** Port of the run use cases: where runs, chunks and generations have their truth. Each call is one transaction. */
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
  /** Who asked: `api`, `cli`, `schedule`. */
  readonly reason: string;
  /** The scheduled moment; a second run of the same slot and model version is not created, the first is returned. */
  readonly scheduleSlot: Date | null;
  /** The arm whose model version scores; the stable one where it is not said. */
  readonly variant?: string;
  /** What the run may cost; of scope `all` alone. No limit where it is not said. */
  readonly budget?: Budget | null;
  /** Whether the schedule of changed users makes it. */
  readonly isOfChanged?: boolean;
  /** What is told of it when it has ended. */
  readonly note?: string;
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
  /**
   * Rejects with `unknown_predictor`, or `run_conflict` where an `all` run of the predictor is unfinished; for a slot of
   * changed users also where a `stale` one is.
   */
  create(run: NewRun): Promise<{ run: Run; created: boolean }>;
  find(id: string): Promise<Run | undefined>;
  /** Newest first; `before` is the id of the last run of the page before. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Run[]>;
  failures(runId: string, limit: number): Promise<readonly RunFailure[]>;
  /**
   * Claims a step that the run's state asks for and that no worker holds. Null if there is no step to claim: the run is in
   * another state, its last attempt failed a moment ago, or the predictor has the same step of another run under way.
   */
  claimStep(runId: string, step: RunStep, leaseMs: number): Promise<ClaimedStep | DeadStep | null>;
  /** Extends the lease; false where the fence is lost, or the run has ended. */
  renewStep(step: ClaimedStep, leaseMs: number): Promise<boolean>;
  /** Frees a step after an error, for another attempt a while later; after `maxAttempts` the run fails with the reason. */
  giveBackStep(step: ClaimedStep, error: string, maxAttempts: number): Promise<'waiting' | 'failed' | 'fence_lost'>;
  /** Frees a step that did nothing: it can be claimed at once, and the claim does not count as an attempt. */
  releaseStep(step: ClaimedStep): Promise<void>;
  /**
   * Cuts the run into chunks, and for scope `all` makes its generation and partition. A `stale` run that would cover more
   * than a fifth of the users becomes `all`. Null where the fence is lost, or the database's history has changed since
   * the claim. Rejects with an error that names the setting and the remedy where the feature query does not list its
   * users within the time limit.
   * @param lost ends the scan of the feature query when it aborts
   */
  plan(step: ClaimedStep, lost: AbortSignal): Promise<Run | null>;
  /** Chunks that wait, or whose lease is over. */
  claimable(runId: string, limit: number): Promise<readonly ChunkRef[]>;
  /** Takes a chunk that waits or whose lease is over; null where there is none to take (taken, done, run ended). */
  claim(runId: string, no: number, leaseMs: number): Promise<ClaimedChunk | DeadChunk | null>;
  /** Extends the lease; false where the fence is lost. */
  renew(chunk: ClaimedChunk, leaseMs: number): Promise<boolean>;
  /** Gives a chunk back after an error; after `maxAttempts` it is failed, and with it the run. */
  giveBack(chunk: ClaimedChunk, error: string, maxAttempts: number): Promise<'waiting' | 'failed' | 'fence_lost'>;
  /** Frees a chunk of which nothing was done: it can be claimed at once, and the claim does not count as an attempt. */
  release(chunk: ClaimedChunk): Promise<void>;
  /** Whether no chunk of the run waits for a worker. */
  isDry(runId: string): Promise<boolean>;
  /** B6: predictions, progress and what is handed back in one transaction, guarded by fence and history. */
  commit(run: Run, chunk: ClaimedChunk, result: ChunkResult): Promise<CommitOutcome>;
  markLoaded(runId: string, no: number): Promise<void>;
  /**
   * B9: checks and compares, then pointer and state in one transaction that the fence guards. Null where chunks are open,
   * or open again, or the fence is lost. Rejects `unavailable` where a generation's past cannot be proven.
   * @param lost ends the statements that index and compare when it aborts
   * @param prove asked within that transaction
   */
  publish(step: ClaimedStep, lost: AbortSignal, prove: LossNotice['prove']): Promise<PublishOutcome | null>;
  /** Waiting chunks are dropped; chunks and steps under way write nothing more. Rejects `run_conflict` for a finished run. */
  cancel(runId: string): Promise<Run>;
  /** A cancelled or failed run goes on with the chunks that are not committed. Rejects `run_conflict` otherwise. */
  resume(runId: string): Promise<Run>;
  /** Runs that are not finished, of all predictors or of one. */
  unfinished(predictor?: string): Promise<readonly UnfinishedRun[]>;
}

export interface RollbackRequest {
  readonly predictor: string;
  /** The generation's number; null: as rollback-target.ts says. */
  readonly to: number | null;
  /** Whether the generation may be of a model version that was never stable. */
  readonly force?: boolean;
  readonly actor: string;
}

export interface GenerationStore {
  list(predictor: string): Promise<readonly Generation[]>;
  /** What the stable arm has served, newest period first; at most `limit` periods. */
  stableVersions(predictor: string, limit: number): Promise<readonly StableVersion[]>;
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

// Port to the queue. A hint says that somewhere in Postgres there may be something to do; it carries ids alone, may be
// lost or come twice, and decides nothing: reconcile.ts hints again at whatever is not done.

export interface RunHints {
  /** Hints return in bounded time and never reject: a queue that is down costs the reconciler's next round, no more. */
  plan(runId: string): Promise<void>;
  chunks(refs: readonly ChunkRef[]): Promise<void>;
  publish(runId: string): Promise<void>;
  /** Fill the online store with a generation again. */
  load(generationId: string): Promise<void>;
}

// Port of the comparison of generations: where reports are kept, and how one that was held back is put in force.

/** A report as it is kept. */
export interface KeptReport extends GenerationReport {
  readonly predictor: string;
  /** Number of the generation. */
  readonly generation: number;
  /** Number of the one that it was compared with; null: with none, or it is long gone. */
  readonly against: number | null;
  /** Furthest first; without who was erased since. */
  readonly movers: readonly Mover[];
  readonly madeAt: Date;
}

export interface Approval {
  readonly predictor: string;
  /** The generation's number. */
  readonly generation: number;
  /** Who approves. */
  readonly actor: string;
}

export interface ReportStore {
  /** @param generation its number; null: of the newest that has a report. Rejects with `unknown_generation` */
  find(predictor: string, generation: number | null): Promise<KeptReport>;
  /**
   * Publishes what was held back and puts it in force, in one transaction with its audit row; again it changes nothing.
   * Rejects with `unknown_generation`, or `run_conflict` where it was not held back or may not be put in force any more.
   */
  approve(approval: Approval): Promise<Generation>;
}

// Which model versions were stable, and which of them a rollback returns to.

/** A period in which the stable arm served one model version. */
export interface StableVersion {
  readonly modelNumber: number;
  readonly since: Date;
  /** Null: it is stable now. */
  readonly until: Date | null;
  /** The kept generation that the stable arm served last of this version; null: none is kept. */
  readonly generationNumber: number | null;
}
