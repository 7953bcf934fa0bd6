/** The state of bulk-change.ts, and the rules that a control may break. */

export interface BulkRules {
  /** When a run notes the source version: before any chunk reads features, or when it commits (later than the features). */
  readonly runNotes: 'before it reads' | 'when it commits';
  /** When the source version rises: in the transaction of the application's change, or later, by a poller. */
  readonly raised: 'in the transaction' | 'by a poller';
  /** The floor under which a live result is stored: that of its reader's certificate, or that at its storing. */
  readonly liveFloor: 'of the certificate' | 'when it is stored';
  /** The floor under which a re-scoring is stored: that before it read its features, or (F2) that at its storing. */
  readonly rescoredFloor: 'asked before' | 'when it is stored';
  /** Which readers share a flight: readers with the same floor, or all readers by the user's version alone. */
  readonly shares: 'by floor' | 'by version';
  /** Whether the floor is the sum of the counters of rollbacks and bulk changes, or the greater of the two. */
  readonly floor: 'sum' | 'greater of the two';
}

export interface BulkScope {
  /** The number of bulk changes of the watched source. */
  readonly changes: number;
  /** The number of events of the user. */
  readonly events: number;
  readonly rollbacks: number;
  /** The number of runs of all users, one after the other. */
  readonly runs: number;
  readonly partialRuns: number;
  /** The number of re-scorings. */
  readonly rescorings?: number;
  readonly readers: number;
}

/** A prediction. `from`: the bulk changes in its features; `asked`: the rollbacks before its request. */
export interface Prediction {
  readonly label: number;
  readonly from: number;
  readonly asked: number;
}

export interface Entry extends Prediction {
  readonly floor: number;
}

export interface Generation {
  is: 'planned' | 'scored' | 'published';
  /** The source version that its run noted. */
  source: number;
  /** The arm's own floor when its run was requested. */
  floor: number;
  row: Prediction | null;
}

/** A computation that no read requested: a partial run, or a re-scoring. */
export interface Unread {
  is: 'idle' | 'asked' | 'scored';
  floor: number;
  entry: Entry | null;
}

export interface BulkReader {
  is: 'away' | 'asking' | 'answered';
  due: { changes: number; version: number; rollbacks: number };
  told: { version: number; generation: number; isOutdated: boolean; floor: number } | null;
}

export interface BulkState {
  /** Committed bulk changes; the source version; the user's version; the arm. */
  postgres: {
    changes: number;
    source: number;
    version: number;
    rollbacks: number;
    arm: { generation: number; floor: number };
    generations: Generation[];
    entry: Entry | null;
  };
  /** The candidates of Redis and of a process's memory: any row that was ever loaded, and one entry. */
  redis: { rows: number[]; overlay: Entry | null };
  partial: Unread;
  rescoring: Unread;
  /** A live inference that readers may share, until it is stored. */
  flight: (Entry & { isRead: boolean }) | null;
  readers: BulkReader[];
  left: { changes: number; events: number; rollbacks: number; runs: number; partialRuns: number; rescorings: number };
  broken: string | null;
}
