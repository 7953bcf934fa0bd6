/** The times of a turn: periodic work that one worker does for all workers. */
interface TurnTimes {
  /** The time from the end of the work to the next turn. After a failure another worker takes the turn. */
  readonly everyMs: number;
  /** How long a killed worker keeps its turn. */
  readonly leaseMs: number;
}

export interface Turns {
  /** Does the work if it is due and no other worker does it; else resolves with undefined. */
  take<T>(name: string, times: TurnTimes, work: () => Promise<T>): Promise<T | undefined>;
}
