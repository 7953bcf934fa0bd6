/**
 * The history of a run of the rig: what clients asked and were told, and what was done to the deployment, one operation a
 * line of NDJSON. A line is written when its operation has ended, so that a history is in the order of `ended`.
 *
 * Times are milliseconds on the machine's monotonic clock, the same in every process: clocks that a fault moves do not
 * touch it. `at` is taken before the first byte is sent and `ended` after the last has come: what really happened lies
 * between, and only what ended before another began is known to have come before it.
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
 * Why there is no status. `refused` was not sent; after `reset` and `timeout` the result is unknown. `idle`: the
 * connection had been idle for as long as the service keeps one, and was closed as the request left; HTTP allows that
 * at any time, and senders have to handle it.
 */
export type Failure = 'refused' | 'reset' | 'timeout' | 'idle';

/** What every call of the service tells. */
export interface Call extends Timed {
  /** Which of the API processes was asked, by its name. */
  readonly api: string;
  /** Null where there was no whole answer: then `failure` says why. */
  readonly status: number | null;
  readonly failure?: Failure;
  /** Seconds, where the answer says them. */
  readonly retryAfter?: number;
  /** What a body holds that must never leave the service, with where it stands. */
  readonly leak?: string;
}

/** First of a history: what the service promises of itself. */
export interface Contract extends Timed {
  readonly kind: 'contract';
  /** `GET /v1/predictions/{predictor}/{userId}` → its status codes, from the service's own OpenAPI document. */
  readonly routes: Readonly<Record<string, readonly number[]>>;
  /** Milliseconds within which a call of each kind is answered, whatever happens. */
  readonly deadlines: Readonly<
    Record<'read' | 'event' | 'run' | 'rollback' | 'rollout' | 'survey' | 'generations' | ErasureAct, number>
  >;
}

export type Source = 'batch' | 'live' | 'stale' | 'default';

export interface Directives {
  readonly noCache?: true;
  readonly onlyIfCached?: true;
  /** Seconds; -1: any staleness. */
  readonly maxStale?: number;
  /** The version that `Prediction-Min-Context` names; its token is of the history at that time. */
  readonly minContext?: number;
  /** Of If-None-Match. */
  readonly ifNoneMatch?: string;
}

/** GET of one user, or POST of many: `userIds` has the users in the order asked, `answers` one for each. */
export interface Read extends Call {
  readonly kind: 'read';
  /** The reader that asked. */
  readonly client: string;
  readonly many: boolean;
  readonly userIds: readonly string[];
  readonly directives: Directives;
  /** Empty where there is no answer, or it is a problem document. */
  readonly answers: readonly ReadAnswer[];
}

export interface ReadAnswer {
  readonly userId: string;
  /** The read's own, or within an answer for many: 200, or the status of that user's problem document. */
  readonly status: number;
  /** Null beside a problem. After a 304 this and what follows is what the body with that tag said. */
  readonly source: Source | null;
  readonly reason: string | null;
  readonly score: number | null;
  readonly contextVersion: number | null;
  readonly predictedFromContextVersion: number | null;
  readonly variant: string | null;
  readonly modelVersion: string | null;
  /** The number of the model version that the prediction itself shows; null where there is none. */
  readonly computedBy: number | null;
  /** The value that the prediction shows of the user's last SQL event, 0 of none; absent where it is not asked. */
  readonly told?: number | null;
  readonly generation: string | null;
  readonly etag?: string;
}

export interface SentEvent {
  readonly id: string;
  readonly userId: string;
  /** The count in the application's own row, committed before the event was first sent. */
  readonly score: number;
  /** When that change was begun. */
  readonly changedAt: number;
  /** When an event with this id was sent first, by whatever call. */
  readonly firstSent: number;
  /** The value that it carries, of SQL events: later accepted ones of a user carry higher values. */
  readonly told?: number;
  /** Sent with another payload than the acknowledged event of this id: to be refused with 409. */
  readonly conflicting?: true;
}

export interface EventResult {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'erased';
  readonly contextVersion: number;
  /** `history.version`. */
  readonly contextToken: string;
}

/** POST /v1/events, one attempt: a retry is an operation of its own, with the same ids. */
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

/** The application changes its own row, and says nothing of it yet. */
export interface Change extends Timed {
  readonly kind: 'change';
  readonly userId: string;
  /** The count after it; null where COMMIT was not acknowledged. */
  readonly score: number | null;
}

/** One statement on a watched table, with no event; empty where COMMIT was not acknowledged. */
export interface TableChange extends Timed {
  readonly kind: 'table change';
  /** The counts after it. */
  readonly changes: readonly { readonly userId: string; readonly score: number }[];
}

/** POST /v1/runs. */
export interface StartRun extends Call {
  readonly kind: 'run';
  readonly scope: 'all' | 'stale' | 'users';
  /** How many are named, for scope `users`. */
  readonly users: number;
  /** The arm whose model version scores; left out: the stable one. */
  readonly variant?: string;
  readonly budget?: Budget;
  /** Of the run, where it was written down. */
  readonly id: string | null;
}

/** POST /v1/predictors/{predictor}/rollback. */
export interface RollBack extends Call {
  readonly kind: 'rollback';
  /** Numbers of generations, where it was acknowledged. */
  readonly from: string | null;
  readonly to: string | null;
  /** Numbers of the model versions that these are of. */
  readonly fromVersion: number | null;
  readonly toVersion: number | null;
  /** Numbers of their bases; null where they have none. */
  readonly fromBase?: string | null;
  readonly toBase?: string | null;
}

/** GET /v1/predictors/{predictor}/generations. */
export interface ListGenerations extends Call {
  readonly kind: 'generations';
  /** Of those that were ever published, each that has a base, as numbers; the newest. Empty where there is no answer. */
  readonly bases: readonly { readonly generation: string; readonly base: string }[];
}

export type Move = 'start' | 'advance' | 'promote' | 'abort' | 'end';

/** An arm beside the stable one, and what it serves: the number of a model version. */
export interface ToldArm {
  readonly variant: string;
  readonly version: number;
}

/** Written before the announced request is sent: from here on it may take effect. */
export interface MoveIntent extends Timed {
  readonly kind: 'move intent';
  readonly move: Move | 'rollback';
  /** Of the rollout that is started or moved. */
  readonly arm: ToldArm | null;
}

/** POST /v1/predictors/{predictor}/rollouts, /v1/rollouts/{id}/advance, …: one attempt. */
export interface MoveRollout extends Call {
  readonly kind: 'rollout';
  readonly move: Move;
  /** For the rollout that is moved; null for a rollout that is started. */
  readonly id: string | null;
  /** What it is now, where it was acknowledged. */
  readonly told: ToldRollout | null;
}

export interface ToldRollout extends ToldArm {
  readonly id: string;
  readonly state: 'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended';
  readonly step: number;
  /** Of a canary: percent of the users; none of an A/B test. */
  readonly steps: readonly number[];
}

/** GET /v1/rollouts, then GET /v1/predictors/{predictor}: who is served what, by the service's own word. */
export interface Survey extends Call {
  readonly kind: 'survey';
  /** The stable arm's model version, where both were answered. */
  readonly stable: number | null;
  /** The newest rollout; null where there is none. */
  readonly rollout: ToldRollout | null;
}

export type ErasureAct = 'erase' | 'readmit';

/** Written before the first attempt is sent: from here on it may be done. */
export interface ErasureIntent extends Timed {
  readonly kind: 'erasure intent';
  readonly act: ErasureAct;
  readonly userId: string;
}

/** DELETE /v1/users/{userId}, one attempt. */
export interface Erase extends Call {
  readonly kind: 'erase';
  readonly userId: string;
  /** Of the same erasure, by whatever attempt. */
  readonly firstSent: number;
  /** The tombstone's, where it was acknowledged. */
  readonly contextVersion: number | null;
}

/** POST /v1/users/{userId}/readmit, one attempt. */
export interface Readmit extends Omit<Erase, 'kind'> {
  readonly kind: 'readmit';
  /** False: the service says that the user was not erased; null where it was not acknowledged. */
  readonly wasErased: boolean | null;
}

/**
 * Four lines a fault, each written when that has happened: it `begins` to be injected, it `holds` everywhere, it is about
 * to be lifted (`lifts`), and everything that the rig does about it is done (`over`). A kill holds at once; its fault
 * lifts when the supervisor starts the process again.
 */
export interface Fault extends Timed {
  readonly kind: 'fault';
  readonly name: string;
  /** Tells two injections of one fault apart. */
  readonly id: string;
  readonly phase: 'begins' | 'holds' | 'lifts' | 'over';
  readonly seed: number;
  /** While it holds no API reaches Postgres: nothing may call itself fresh. */
  readonly cutsPostgres?: true;
  /** Names of APIs that may leave calls hanging from `begins` to `over` (stopped, not killed). */
  readonly mayHang?: readonly string[];
  /** Committed transactions are lost by it: what was acknowledged before `over` demands nothing afterwards. */
  readonly losesHistory?: true;
  /** Nothing is lost, and another history may begin: a token of before may be refused. */
  readonly changesHistory?: true;
  /** Throughput may be low from `begins` on, and is back that many milliseconds after `over`. */
  readonly recoversWithinMs?: number;
}

/** What a process holds at a moment. */
export interface ProcessSample extends Timed {
  readonly kind: 'process';
  /** `api 1`, `worker 2`, …: stays when the process is started again. */
  readonly name: string;
  readonly pid: number;
  /** Bytes. */
  readonly rss: number;
  readonly descriptors: number;
  /** CPU time so far, all threads. */
  readonly cpuMs: number;
  /** Its main thread so far: how long it ran, and how long it could have and waited for a CPU. Not every kernel tells. */
  readonly main?: { readonly ranMs: number; readonly waitedMs: number };
}

/** What the deployment did since the sample before: what is lost between two samples is in none. */
export interface WorkSample extends Timed {
  readonly kind: 'work';
  /** Those that are done. */
  readonly runs: readonly DoneRun[];
  /** Answers that a re-scoring had stored, of each API process since it began. */
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

/** A text in a process' output that must not be there; a reader of the output looks for it. */
export interface LogLine extends Timed {
  readonly kind: 'log';
  readonly name: string;
  readonly leak: string;
}

/** Milliseconds of the machine's monotonic clock. */
export function monotonicNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}

/** Takes what happened, in the order of `ended`. */
export interface HistorySink {
  write(operation: Operation): void;
  close(): void;
}
