/** What history.ts knows of the world, and the rules that may be broken in it. */

export interface HistoryRules {
  /** Whether versions are compared without their history: Q1. */
  readonly compares: 'history and version' | 'version';
  /**
   * What a history is named after:
   * - `timeline`: a failover or restore begins another; a restart does not
   * - `start time`: of the server, where its timeline cannot be read; a restart begins another history as well
   * - `neither`: the timeline cannot be read, and nothing takes its place
   */
  readonly names: 'timeline' | 'start time' | 'neither';
  /**
   * What a generation's rows lie under in Redis and in memory, its id:
   * - `new in each history`: the claim that brings a run into another history gives its generation an id that nobody has
   *   seen; rows are loaded under the id that they were committed under
   * - `kept`: a run that goes on after a failover keeps it, though its rows are scored anew
   * - `asked late`: a new one, but as Postgres says it when the rows are loaded
   */
  readonly id: 'new in each history' | 'kept' | 'asked late';
}

export interface HistoryScope {
  readonly events: number;
  readonly workers: number;
  readonly readers: number;
  /** How often commits are lost. */
  readonly losses: number;
  /** How often Postgres restarts, and loses nothing. */
  readonly restarts: number;
  /** How often Redis loses everything. */
  readonly flushes: number;
  /** How often the chunk may be claimed in one history. */
  readonly claims: number;
}

/** A prediction: what it says of itself, and the events (bits) that it was computed from. */
export interface Row {
  readonly history: number;
  readonly label: number;
  readonly from: number;
}

export interface Postgres {
  history: number;
  context: number;
  version: number;
  /** Of the run: the history that it goes on in, which its commits are compared with. */
  runHistory: number;
  /** Of the generation: the history in which it was given its id, which names that id. */
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
  /** The events that were acknowledged before it arrived and are not lost. */
  due: number;
  /** Of its certificate; null before there is one. */
  told: { history: number; version: number; isPublished: boolean; idOf: number } | null;
  /** What it found in Redis before it was certified, where it was as quick as that. */
  early: HistoryState['redis'] | null;
  /** The events that its certificate's past does not have: no answer may have seen them. */
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
  /** A live result of the process: for whom it was asked, whether Redis has it. */
  flight: { row: Row; isKept: boolean } | null;
  readers: HistoryReader[];
  broken: string | null;
}
