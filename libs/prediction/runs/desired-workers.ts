/**
 * Computes how many workers the waiting work needs: work ÷ measured rate, against the deadlines. `tandem worker
 * --autoscale` and the metric for a cluster's autoscaler use the same policy.
 */

/** An unfinished run. */
export interface WaitingRun {
  readonly predictor: string;
  /** The number of users that are not scored yet. */
  readonly users: number;
  /** The rate of one worker in this run or the last one; null if not measured yet. */
  readonly usersPerSecond: number | null;
  /** The time until the deadline; negative after it. */
  readonly secondsLeft: number;
}

export interface WaitingWork {
  readonly runs: readonly WaitingRun[];
  /** Kinds of work beside runs that wait for any worker, such as due slots or events for Redis. */
  readonly chores: readonly string[];
}

/** The usable share of the time to a deadline. The rest is for planning, publishing and variations of the rate. */
const USABLE_SHARE = 0.8;
/** A run past its deadline gets enough workers to end it in this time. */
const LEAST_SECONDS = 60;

/**
 * Returns the least number of workers that meets every deadline, if runs are processed in the order of their deadlines.
 * Runs without a measured rate and other work need one worker in total. Returns 0 if nothing waits.
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
  /** How long fewer workers must be enough before any of them ends. A new worker must start and load models again. */
  readonly holdMs: number;
}

/**
 * Returns a function that computes the number of workers at each look. The number rises immediately, and falls only
 * when fewer workers were enough for a while.
 * @param looks times in ms that only rise, and the number needed at each time
 */
export function createScaler({ min, max, holdMs }: ScaleLimits): (nowMs: number, needed: number) => number {
  let looks: { readonly at: number; readonly needed: number }[] = [];
  return (nowMs, needed) => {
    looks = [...looks.filter(({ at }) => at > nowMs - holdMs), { at: nowMs, needed }];
    const most = Math.max(...looks.map((look) => look.needed));
    return Math.min(max, Math.max(min, most));
  };
}
