/** What bulk-change.ts knows of the world, and the rules that may be broken in it. */

export interface BulkRules {
  /** When a run notes the source version: before any chunk reads features, or when it commits (later than the features). */
  readonly runNotes: 'before it reads' | 'when it commits';
  /** Where the application's change raises the source version: in its own transaction, or a poller does it later. */
  readonly raised: 'in the transaction' | 'by a poller';
  /** What a live result is kept under: the floor of its reader's certificate, or the floor when it is stored. */
  readonly liveFloor: 'of the certificate' | 'when it is stored';
  /** What a re-scoring is kept under: the floor that it asked for before its features, or (F2) the floor when it is stored. */
  readonly rescoredFloor: 'asked before' | 'when it is stored';
  /** What a flight is shared by: the floor of the certificate, or by the user's version alone. */
  readonly shares: 'by floor' | 'by version';
  /** Whether a rollback and a bulk change raise two counters, whose sum is compared, or set one to the other's value. */
  readonly floor: 'sum' | 'greater of the two';
}

export interface BulkScope {
  /** Bulk changes of the watched source. */
  readonly changes: number;
  /** Events of the user. */
  readonly events: number;
  readonly rollbacks: number;
  /** Runs of everyone, one after the other. */
  readonly runs: number;
  readonly partialRuns: number;
  /** Re-scorings that no read asked for. */
  readonly rescorings?: number;
  readonly readers: number;
}

/** `from`: the bulk changes that its features held; `asked`: the rollbacks when it was asked for. */
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
  /** The arm's own floor when its run was asked for. */
  floor: number;
  row: Prediction | null;
}

/** What is computed though no read asked for it: a partial run, or a re-scoring. */
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
  /** What Redis or a process's memory may offer: any row that was ever loaded, and one entry. */
  redis: { rows: number[]; overlay: Entry | null };
  partial: Unread;
  rescoring: Unread;
  /** A live inference that readers may share, until it is stored. */
  flight: (Entry & { isRead: boolean }) | null;
  readers: BulkReader[];
  left: { changes: number; events: number; rollbacks: number; runs: number; partialRuns: number; rescorings: number };
  broken: string | null;
}
