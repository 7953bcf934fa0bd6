/** What layered-generation.ts knows of the world, and the rules that may be broken in it. */

export interface LayerRules {
  /** By which run's source version a row of the base counts as outdated. */
  readonly outdated: 'by the run of its layer' | 'by the run of the generation above';
  /** Which rows of the generation before a budgeted run takes along for users whom it does not score. */
  readonly carries: 'of the same source version' | 'all';
  /** Which base a reader goes by: the certificate's, or the one that its process knew before. */
  readonly base: 'of the certificate' | 'known before';
  /** Which published generations may be dropped. */
  readonly drops: 'no base of another' | 'any that no arm names';
  /** Which number an answer from the base has. */
  readonly number: 'of its layer' | 'of the generation above';
  /** When Redis offers a row of the base: once the bucket above is known to be whole, or whenever it lacks the user. */
  readonly offers: 'below whole buckets' | 'always';
  /** What memory is kept under: the generation that was assigned then, or the one that the row lies in. */
  readonly memory: 'by the assigned generation' | 'by the layer';
}

export interface LayerScope {
  readonly events: number;
  /** Bulk changes of the watched source. */
  readonly changes: number;
  /** Runs, one after the other: of everyone, or with a budget, which has room for the user or not. */
  readonly runs: number;
  readonly rollbacks: number;
  readonly readers: number;
  /** Buckets that Redis loses. */
  readonly losses: number;
}

/** `from`: the bulk changes that its features held. */
export interface Row {
  readonly label: number;
  readonly from: number;
}

export interface Generation {
  is: 'planned' | 'scored' | 'carried' | 'published' | 'dropped';
  /** The generation below; 0: none, it is of everyone. */
  readonly base: number;
  /** Whether its run scores the user. */
  readonly isChosen: boolean;
  /** The source version that its run noted, and the arm's floor when it was asked for. */
  readonly source: number;
  readonly floor: number;
  row: Row | null;
}

/** A generation and the one below it. */
export interface Layers {
  readonly generation: number;
  readonly base: number;
}

export interface LayerReader {
  is: 'away' | 'asking' | 'answered';
  due: { changes: number; version: number };
  told: (Layers & { version: number; isOutdated: boolean; isBaseOutdated: boolean }) | null;
}

export interface LayerState {
  /** Committed bulk changes raise the source version with them. */
  postgres: { changes: number; version: number; arm: { generation: number; floor: number }; generations: Generation[] };
  /** The user's bucket of each generation: the user's row, and whether it is known to have all rows. */
  redis: { row: Row | null; isWhole: boolean }[];
  /** Of the readers' process: a row, where it lies, and what it is kept under; what it was last told. */
  memory: { under: number; lies: number; row: Row } | null;
  known: Layers;
  readers: LayerReader[];
  left: { events: number; changes: number; runs: number; rollbacks: number; losses: number };
  broken: string | null;
}
