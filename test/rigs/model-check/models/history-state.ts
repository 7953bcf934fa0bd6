/** The state of history.ts, and the rules that a control may break. */

export interface HistoryRules {
  /** Whether versions are compared without their history: Q1. */
  readonly compares: 'history and version' | 'version';
  /**
   * The name of a history:
   * - `timeline`: a failover or restore begins another history; a restart does not.
   * - `start time` of the server, if its timeline cannot be read: a restart begins another history too.
   * - `neither`: the timeline cannot be read, and no start time replaces it.
   */
  readonly names: 'timeline' | 'start time' | 'neither';
  /**
   * The id of a generation, under which its rows are in Redis and in memory:
   * - `new in each history`: the claim that continues a run in another history gives its generation an unused id. Rows are
   *   loaded under the id under which they were committed.
   * - `kept`: a run that continues after a failover keeps the id, although its rows are scored again.
   * - `asked late`: the id is new, but is read from Postgres when the rows are loaded.
   */
  readonly id: 'new in each history' | 'kept' | 'asked late';
}

export interface HistoryScope {
  readonly events: number;
  readonly workers: number;
  readonly readers: number;
  /** How often commits are lost. */
  readonly losses: number;
  /** How often Postgres restarts without a loss. */
  readonly restarts: number;
  /** How often Redis loses all data. */
  readonly flushes: number;
  /** How often the chunk may be claimed in one history. */
  readonly claims: number;
}

/** A prediction: the history and label that it claims, and the events (bits) from which it was computed. */
export interface Row {
  readonly history: number;
  readonly label: number;
  readonly from: number;
}

export interface Postgres {
  history: number;
  context: number;
  version: number;
  /** The history in which the run continues; commits are compared with it. */
  runHistory: number;
  /** The history in which the generation got its id; it stands for the id. */
  idOf: number;
  chunk: { is: 'waiting' | 'claimed' | 'committed'; fence: number; row: Row | null };
  isPublished: boolean;
}

export interface HistoryWorker {
  is: 'idle' | 'claimed' | 'scored' | 'committed';
  fence: number;
  runHistory: number;
  idOf: number;
  result: Row | null;
}

export interface HistoryReader {
  is: 'away' | 'asking' | 'answered';
  /** The events that were acknowledged before the read arrived and are not lost. */
  due: number;
  /** The certificate, or null before it arrives. */
  told: { history: number; version: number; isPublished: boolean; idOf: number } | null;
  /** The data found in Redis before the certificate, or null if Redis has not answered yet. */
  early: HistoryState['redis'] | null;
  /** The events that are not in its certificate's history: no fresh answer may contain them. */
  never: number;
}

export interface HistoryState {
  postgres: Postgres;
  saved: Postgres | null;
  historiesMade: number;
  everCommitted: number;
  eventsLeft: number;
  lossesLeft: number;
  restartsLeft: number;
  flushesLeft: number;
  workers: HistoryWorker[];
  loader: { row: Row; idOf: number } | null;
  /** The generation's row under each id that it had. */
  redis: { generation: (Row | null)[]; overlay: Row | null };
  memory: { row: Row; idOf: number } | null;
  /** A live result of the process, and whether Redis has it. */
  flight: { row: Row; isKept: boolean } | null;
  readers: HistoryReader[];
  broken: string | null;
}
