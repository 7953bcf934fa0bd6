/** Port to turns: work that one worker does for all, now and then. */
interface TurnTimes {
  /** Time from the end of the work to the next turn; after a failure the next worker takes the turn. */
  readonly everyMs: number;
  /** A worker that was killed keeps its turn for so long. */
  readonly leaseMs: number;
}

export interface Turns {
  /** Does the work where it is due and no other worker does it; else resolves with undefined. */
  take<T>(name: string, times: TurnTimes, work: () => Promise<T>): Promise<T | undefined>;
}
