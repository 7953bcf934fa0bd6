/**
 * When a process that died is started again: at once the first time, later and later while it keeps dying, and no more
 * once it is clear that starting it does not help.
 */

export interface RestartDecision {
  /** Deaths in a row that came soon after the start, this one included. */
  readonly quickDeaths: number;
  /** Milliseconds until the next start; null: give up. */
  readonly pauseMs: number | null;
}

/** A process that lived this long had started well; its death counts as the first one again. */
export const STEADY_AFTER_MS = 10_000;
export const MOST_QUICK_DEATHS = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/** @param before quick deaths in a row until this one */
export function decideRestart(livedMs: number, before: number): RestartDecision {
  if (livedMs >= STEADY_AFTER_MS) return { quickDeaths: 0, pauseMs: FIRST_PAUSE_MS };
  const quickDeaths = before + 1;
  if (quickDeaths >= MOST_QUICK_DEATHS) return { quickDeaths, pauseMs: null };
  return { quickDeaths, pauseMs: Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 3 ** (quickDeaths - 1)) };
}
