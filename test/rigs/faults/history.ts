/**
 * The history of a run of the rig: the requests of clients with their answers, and the faults. It is NDJSON with one operation
 * per line. A line is written when its operation has ended, so a history is in the order of `ended`.
 *
 * Times are milliseconds on the machine's monotonic clock, which is the same in every process; faults do not move it. `at` is
 * taken before the first byte is sent and `ended` after the last byte has come. The operation took effect between them. So one
 * operation is known to precede another only if it ended before the other began.
 */
import type { Budget } from '@tandem/prediction/runs/budget';

export type Operation =
  | Contract
  | Read
  | SendEvents
  | SqlEvents
  | Change
  | TableChange
  | StartRun
  | RollBack
  | MoveIntent
  | MoveRollout
  | Survey
  | ListGenerations
  | ErasureIntent
  | Erase
  | Readmit
  | Fault
  | ProcessSample
  | WorkSample
  | LogLine;

interface Timed {
  readonly at: number;
  readonly ended: number;
}

/**
 * The reason for a missing status. A `refused` request was not sent. After `reset` and `timeout` the result is unknown.
 * `idle` means that the service closed an idle connection at its time limit, just as the request was sent. HTTP allows
 * this at any time, and senders must handle it.
 */
export type Failure = 'refused' | 'reset' | 'timeout' | 'idle';

/** The fields that every call of the service has. */
export interface Call extends Timed {
  /** The name of the API process that got the request. */
  readonly api: string;
  /** Null without a complete answer; `failure` then has the reason. */
  readonly status: number | null;
  readonly failure?: Failure;
  /** The seconds of Retry-After, if the answer has this header. */
  readonly retryAfter?: number;
  /** Text in a body that must never leave the service, with its place. */
  readonly leak?: string;
}

/** The first line of a history: the promises of the service. */
export interface Contract extends Timed {
  readonly kind: 'contract';
  /**
   * Maps a route, such as `GET /v1/predictions/{predictor}/{userId}`, to its status codes in the service's OpenAPI
   * document.
   */
  readonly routes: Readonly<Record<string, readonly number[]>>;
  /** Milliseconds within which a call of each kind is answered, also during a fault. */
  readonly deadlines: Readonly<
    Record<'read' | 'event' | 'run' | 'rollback' | 'rollout' | 'survey' | 'generations' | ErasureAct, number>
  >;
}

export type Source = 'batch' | 'live' | 'stale' | 'default';

export interface Directives {
  readonly noCache?: true;
  readonly onlyIfCached?: true;
  /** Seconds, or -1 for any staleness. */
  readonly maxStale?: number;
  /** The version that `Prediction-Min-Context` names; its token is of the history at that time. */
  readonly minContext?: number;
  /** The tag of If-None-Match. */
  readonly ifNoneMatch?: string;
}

/**
 * GET of one user, or POST of many. `userIds` is in the order of the request; `answers` has one answer for each user.
 */
export interface Read extends Call {
  readonly kind: 'read';
  /** The reader that sent the request. */
  readonly client: string;
  readonly many: boolean;
  readonly userIds: readonly string[];
  readonly directives: Directives;
  /** Empty if there is no answer, or if it is a problem document. */
  readonly answers: readonly ReadAnswer[];
}

export interface ReadAnswer {
  readonly userId: string;
  /** The status of the read. In an answer for many users: 200, or the status of this user's problem document. */
  readonly status: number;
  /** Null for a problem. After a 304, this field and the next ones are those of the body with that tag. */
  readonly source: Source | null;
  readonly reason: string | null;
  readonly score: number | null;
  readonly contextVersion: number | null;
  readonly predictedFromContextVersion: number | null;
  readonly variant: string | null;
  readonly modelVersion: string | null;
  /** The number of the model version that the prediction itself contains; null without one. */
  readonly computedBy: number | null;
  /** The value of the user's last SQL event in the prediction, 0 without one; absent if it is not part of the prediction. */
  readonly told?: number | null;
  readonly generation: string | null;
  /** When it was computed, in milliseconds since 1970 on Postgres' clock; null or absent if the answer has no such time. */
  readonly computedAt?: number | null;
  /** Whether the service says that later reads get this answer or a newer one. Only single reads over HTTP say it. */
  readonly stored?: true;
  readonly etag?: string;
}

export interface SentEvent {
  readonly id: string;
  readonly userId: string;
  /** The count in the application's own row, committed before the event was first sent. */
  readonly score: number;
  /** When the change of this row began. */
  readonly changedAt: number;
  /** When an event with this id was first sent, by any call. */
  readonly firstSent: number;
  /** The value of an SQL event: a later accepted event of the same user carries a higher value. */
  readonly told?: number;
  /** Whether its payload differs from the acknowledged event of this id; the service must refuse it with 409. */
  readonly conflicting?: true;
}

export interface EventResult {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'erased';
  readonly contextVersion: number;
  /** `history.version`. */
  readonly contextToken: string;
}

/** POST /v1/events, one attempt. A retry is a separate operation with the same ids. */
export interface SendEvents extends Call {
  readonly kind: 'event';
  readonly events: readonly SentEvent[];
  /** In the order of `events`; empty unless acknowledged. */
  readonly results: readonly EventResult[];
}

/** Rows inserted into tandem.events in the application's own transaction, together with the change of its row. */
export interface SqlEvents extends Timed {
  readonly kind: 'sql event';
  readonly events: readonly SentEvent[];
  /** Whether COMMIT was acknowledged; if not, the result is unknown. */
  readonly isCommitted: boolean;
  /** The versions, read in that transaction, in the order of `events`. */
  readonly results: readonly Pick<EventResult, 'id' | 'contextVersion' | 'contextToken'>[];
}

/** The application changes its own row, and sends no event yet. */
export interface Change extends Timed {
  readonly kind: 'change';
  readonly userId: string;
  /** The count after the change; null if COMMIT was not acknowledged. */
  readonly score: number | null;
}

/** A transaction on watched tables, without an event; empty if COMMIT was not acknowledged. */
export interface TableChange extends Timed {
  readonly kind: 'table change';
  /** The counts after the statement. */
  readonly changes: readonly { readonly userId: string; readonly score: number }[];
  /** Users who share rows, with values below which `told` in their answers must not be from now on. */
  readonly values?: readonly { readonly userId: string; readonly value: number }[];
}

/** POST /v1/runs. */
export interface StartRun extends Call {
  readonly kind: 'run';
  readonly scope: 'all' | 'stale' | 'users';
  /** The number of named users, for scope `users`. */
  readonly users: number;
  /** The arm whose model version scores; default: the stable arm. */
  readonly variant?: string;
  readonly budget?: Budget;
  /** The id of the run, if it was recorded. */
  readonly id: string | null;
}

/** POST /v1/predictors/{predictor}/rollback. */
export interface RollBack extends Call {
  readonly kind: 'rollback';
  /** Numbers of generations, if the rollback was acknowledged. */
  readonly from: string | null;
  readonly to: string | null;
  /** Numbers of the model versions of these generations. */
  readonly fromVersion: number | null;
  readonly toVersion: number | null;
  /** Numbers of their bases; null without a base. */
  readonly fromBase?: string | null;
  readonly toBase?: string | null;
}

/** GET /v1/predictors/{predictor}/generations. */
export interface ListGenerations extends Call {
  readonly kind: 'generations';
  /** The newest published generations that have a base, by number. Empty without an answer. */
  readonly bases: readonly { readonly generation: string; readonly base: string }[];
}

export type Move = 'start' | 'advance' | 'promote' | 'abort' | 'end';

/** An arm other than the stable arm, with the number of its model version. */
export interface ToldArm {
  readonly variant: string;
  readonly version: number;
}

/** A line that is written before the request is sent: the request may take effect from now on. */
export interface MoveIntent extends Timed {
  readonly kind: 'move intent';
  readonly move: Move | 'rollback';
  /** The arm of the rollout that is started or moved. */
  readonly arm: ToldArm | null;
}

/** POST /v1/predictors/{predictor}/rollouts, /v1/rollouts/{id}/advance, …: one attempt. */
export interface MoveRollout extends Call {
  readonly kind: 'rollout';
  readonly move: Move;
  /** For the rollout that is moved; null for a rollout that is started. */
  readonly id: string | null;
  /** The rollout after the move, if it was acknowledged. */
  readonly told: ToldRollout | null;
}

export interface ToldRollout extends ToldArm {
  readonly id: string;
  readonly state: 'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended';
  readonly step: number;
  /** The steps of a canary, in percent of the users; empty for an A/B test. */
  readonly steps: readonly number[];
}

/** GET /v1/rollouts, then GET /v1/predictors/{predictor}: the arms, as the service reports them. */
export interface Survey extends Call {
  readonly kind: 'survey';
  /** The stable arm's model version, if both requests were answered. */
  readonly stable: number | null;
  /** The newest rollout; null if there is none. */
  readonly rollout: ToldRollout | null;
}

export type ErasureAct = 'erase' | 'readmit';

/** A line that is written before the first attempt is sent: the user may be erased from now on. */
export interface ErasureIntent extends Timed {
  readonly kind: 'erasure intent';
  readonly act: ErasureAct;
  readonly userId: string;
}

/** DELETE /v1/users/{userId}, one attempt. */
export interface Erase extends Call {
  readonly kind: 'erase';
  readonly userId: string;
  /** When the first attempt of this erasure was sent. */
  readonly firstSent: number;
  /** The version of the tombstone, if the erasure was acknowledged. */
  readonly contextVersion: number | null;
}

/** POST /v1/users/{userId}/readmit, one attempt. */
export interface Readmit extends Omit<Erase, 'kind'> {
  readonly kind: 'readmit';
  /** False if the service says that the user was not erased; null if the call was not acknowledged. */
  readonly wasErased: boolean | null;
}

/**
 * A fault has four lines, one for each phase: its injection `begins`, it `holds` everywhere, it is about to be lifted (`lifts`),
 * and the rig has finished its work on it (`over`). A kill holds at once, and lifts when the supervisor starts the process again.
 */
export interface Fault extends Timed {
  readonly kind: 'fault';
  readonly name: string;
  /** Distinguishes two injections of one fault. */
  readonly id: string;
  readonly phase: 'begins' | 'holds' | 'lifts' | 'over';
  readonly seed: number;
  /** While it holds, no API reaches Postgres, so no answer may be called fresh. */
  readonly cutsPostgres?: true;
  /** Names of APIs that may leave calls hanging from `begins` to `over` (stopped, not killed). */
  readonly mayHang?: readonly string[];
  /** The fault loses committed transactions: acknowledgements from before `over` demand nothing afterwards. */
  readonly losesHistory?: true;
  /** The fault loses no data, but another history may begin: an earlier token may be refused. */
  readonly changesHistory?: true;
  /** Postgres' clock moves, so that times of computation have no order. */
  readonly movesClock?: true;
  /** Throughput may be low from `begins` on, and must recover within this many milliseconds after `over`. */
  readonly recoversWithinMs?: number;
}

/** The resources that a process uses at a moment. */
export interface ProcessSample extends Timed {
  readonly kind: 'process';
  /** `api 1`, `worker 2`, …; unchanged when the process is started again. */
  readonly name: string;
  readonly pid: number;
  /** Bytes. */
  readonly rss: number;
  readonly descriptors: number;
  /** CPU time of all threads so far. */
  readonly cpuMs: number;
  /**
   * The time for which the main thread ran, and the time for which it waited for a CPU. Not every kernel reports them.
   */
  readonly main?: { readonly ranMs: number; readonly waitedMs: number };
}

/** The work of the deployment since the previous sample. A sample may miss rows that were deleted before it. */
export interface WorkSample extends Timed {
  readonly kind: 'work';
  /** The runs that are done. */
  readonly runs: readonly DoneRun[];
  /** For each API process since its start, the answers whose prediction a re-scoring had stored. */
  readonly rescored: readonly { readonly name: string; readonly pid: number; readonly answers: number }[];
}

export interface DoneRun {
  readonly id: string;
  readonly budget: Budget | null;
  /** The schedule that made it; null if it was started on request. */
  readonly schedule: 'everyone' | 'changed' | null;
  /** Users that its generation leaves on its base; null without a base. */
  readonly left: number | null;
}

/** A text that must not be in a process' output. The rig searches the output for such texts. */
export interface LogLine extends Timed {
  readonly kind: 'log';
  readonly name: string;
  readonly leak: string;
}

/** Returns the milliseconds of the machine's monotonic clock. */
export function monotonicNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}

/** Receives operations in the order of `ended`. */
export interface HistorySink {
  write(operation: Operation): void;
  close(): void;
}
