/**
 * A CPU budget for background work: a share of the elapsed time. A run is charged after its end, when its cost is
 * known. No run begins while more was spent than earned.
 */

/**
 * The most that can be saved up, in ms of elapsed time. So work that paused all night does not occupy a processor in
 * the morning.
 */
const SAVED_MS = 1_000;

export type CpuBudget = ReturnType<typeof createCpuBudget>;

/**
 * Creates a budget.
 * @param share the share of one processor, above 0; 2 means two processors
 * @param now a clock in milliseconds that only rises
 */
export function createCpuBudget(share: number, now: () => number) {
  let balanceMs = share * SAVED_MS;
  let at = now();

  function balance(): number {
    const moment = now();
    balanceMs = Math.min(share * SAVED_MS, balanceMs + share * (moment - at));
    at = moment;
    return balanceMs;
  }

  return {
    isSpent: (): boolean => balance() <= 0,
    // A millisecond is added, since a timer may fire early.
    /** Returns the ms until work may begin; 0 if it may begin now. */
    msToNext: (): number => Math.max(0, Math.ceil(-balance() / share) + (balanceMs <= 0 ? 1 : 0)),
    charge(cpuMs: number): void {
      balanceMs = balance() - cpuMs;
    },
  };
}
