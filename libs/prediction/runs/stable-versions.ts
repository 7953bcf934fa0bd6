/** Which model versions were stable, and which of them a rollback returns to. */

/** A period in which the stable arm served one model version. */
export interface StableVersion {
  readonly modelNumber: number;
  readonly since: Date;
  /** Null: it is stable now. */
  readonly until: Date | null;
  /** The kept generation that the stable arm served last of this version; null: none is kept. */
  readonly generationNumber: number | null;
}
