/** The state of layered-generation.ts, and the rules that a control may break. */

export interface LayerRules {
  /** The run whose source version decides whether a row of the base is outdated. */
  readonly outdated: 'by the run of its layer' | 'by the run of the generation above';
  /** Which rows of the previous generation a budgeted run carries over for users that it does not score. */
  readonly carries: 'of the same source version' | 'all';
  /** Which base a reader uses: the certificate's, or the base that its process knew before. */
  readonly base: 'of the certificate' | 'known before';
  /** Which published generations may be dropped. */
  readonly drops: 'no base of another' | 'any that no arm names';
  /** The number of the generation that an answer from the base names. */
  readonly number: 'of its layer' | 'of the generation above';
  /**
   * When Redis offers a row of the base: once the bucket above is known to be complete, or whenever that lacks the
   * user.
   */
  readonly offers: 'below whole buckets' | 'always';
  /** The key of a row in memory: the generation that was assigned then, or the generation that contains the row. */
  readonly memory: 'by the assigned generation' | 'by the layer';
}

export interface LayerScope {
  readonly events: number;
  /** The number of bulk changes of the watched source. */
  readonly changes: number;
  /** The number of runs, one after the other. A run has all users, or a budget that includes the user or not. */
  readonly runs: number;
  readonly rollbacks: number;
  readonly readers: number;
  /** The number of buckets that Redis loses. */
  readonly losses: number;
}

/** A prediction. `from`: the bulk changes in its features. */
export interface Row {
  readonly label: number;
  readonly from: number;
}

export interface Generation {
  is: 'planned' | 'scored' | 'carried' | 'published' | 'dropped';
  /** The base, or 0 without a base, because the run scored all users. */
  readonly base: number;
  /** Whether its run scores the user. */
  readonly isChosen: boolean;
  /** The source version that its run noted, and the arm's floor when the run was requested. */
  readonly source: number;
  readonly floor: number;
  row: Row | null;
}

/** A generation and its base. */
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
  /** `changes`: committed bulk changes, and thus the source version. */
  postgres: { changes: number; version: number; arm: { generation: number; floor: number }; generations: Generation[] };
  /** The user's bucket of each generation: the user's row, and whether the bucket is known to have all rows. */
  redis: { row: Row | null; isWhole: boolean }[];
  /** Memory of the readers' process: a row, its generation, and its key. `known`: the layers of its last certificate. */
  memory: { under: number; lies: number; row: Row } | null;
  known: Layers;
  readers: LayerReader[];
  left: { events: number; changes: number; runs: number; rollbacks: number; losses: number };
  broken: string | null;
}
