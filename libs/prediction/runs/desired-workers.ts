/**
 * How many workers the waiting work needs: work ÷ measured rate, against the deadlines. One policy for `tandem worker
 * --autoscale` and for the metric by which a cluster scales.
 */

/** An unfinished run. */
export interface WaitingRun {
  readonly predictor: string;
  /** Users that are not scored yet. */
  readonly users: number;
  /** Rate of one worker, in this run or the last one; null: not measured yet. */
  readonly usersPerSecond: number | null;
  /** Until its deadline; below 0 once that is over. */
  readonly secondsLeft: number;
}

export interface WaitingWork {
  readonly runs: readonly WaitingRun[];
  /** Kinds of work beside runs that wait for any worker, such as due slots or events for Redis. */
  readonly chores: readonly string[];
}

/** Share of the time to a deadline: the rest is for planning, publishing, and variations of the rate. */
const USABLE_SHARE = 0.8;
/** A run past its deadline gets as many workers as would end it in this time. */
const LEAST_SECONDS = 60;

/**
 * Returns the least number of workers that meets every deadline, where runs are worked on by deadline. One does what has no
 * measured rate, and all other work; 0 if nothing waits.
 */
export function workersNeeded({ runs, chores }: WaitingWork): number {
  let needed = runs.length + chores.length > 0 ? 1 : 0;
  let seconds = 0;
  for (const { users, usersPerSecond, secondsLeft } of runs.toSorted((a, b) => a.secondsLeft - b.secondsLeft)) {
    if (usersPerSecond === null || usersPerSecond <= 0) continue;
    seconds += users / usersPerSecond;
    needed = Math.max(needed, Math.ceil(seconds / Math.max(LEAST_SECONDS, secondsLeft * USABLE_SHARE)));
  }
  return needed;
}

export interface ScaleLimits {
  readonly min: number;
  readonly max: number;
  /** How long fewer workers must be enough before any ends: starting one again costs its start, and warm models. */
  readonly holdMs: number;
}

/**
 * Workers to have, look after look: at once as many as are needed, and fewer only when fewer were enough for a while.
 * @param looks milliseconds that only ever rise, and what was needed then
 */
export function createScaler({ min, max, holdMs }: ScaleLimits): (nowMs: number, needed: number) => number {
  let looks: { readonly at: number; readonly needed: number }[] = [];
  return (nowMs, needed) => {
    looks = [...looks.filter(({ at }) => at > nowMs - holdMs), { at: nowMs, needed }];
    const most = Math.max(...looks.map((look) => look.needed));
    return Math.min(max, Math.max(min, most));
  };
}
