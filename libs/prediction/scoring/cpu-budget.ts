/**
 * A CPU budget for background work: a share of the elapsed time. A run is charged after it ended, since its cost is not
 * known before. While more was spent than earned, no run begins.
 */

export interface CpuBudget {
  isSpent(): boolean;
  /** Until something may be begun, in ms; 0: now. */
  msToNext(): number;
  charge(cpuMs: number): void;
}

/**
 * The most that can be saved up, in ms of wall time: work that was absent all night does not take a processor in the
 * morning.
 */
const SAVED_MS = 1_000;

/**
 * @param share of one processor, above 0; 2 is two processors
 * @param now milliseconds that only ever rise
 */
export function createCpuBudget(share: number, now: () => number): CpuBudget {
  let balanceMs = share * SAVED_MS;
  let at = now();

  function balance(): number {
    const moment = now();
    balanceMs = Math.min(share * SAVED_MS, balanceMs + share * (moment - at));
    at = moment;
    return balanceMs;
  }

  return {
    isSpent: () => balance() <= 0,
    // A millisecond more, so that a timer that is early finds something.
    msToNext: () => Math.max(0, Math.ceil(-balance() / share) + (balanceMs <= 0 ? 1 : 0)),
    charge(cpuMs) {
      balanceMs = balance() - cpuMs;
    },
  };
}
