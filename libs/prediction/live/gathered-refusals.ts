/**
 * Refusals that are told together. Where far more is asked than can be done, a refusal comes every millisecond, in between
 * the model's turns on the same processor, which leave little of this process in its caches. Told one by one they cost a
 * fifth to a third more of the processor (104 µs against 85, and 168 against 112 where others share the machine), which is
 * taken from answers. So the first waits a little for the others. Whoever asks again as soon as it is refused is slowed by it.
 */

/** Milliseconds. */
const PATIENCE_MS = 10;
/** The same as a share of the time that its reader has. */
const PATIENCE_SHARE = 0.05;

export interface GatheredRefusals {
  /** @param timeoutMs what the reader who is refused had in all */
  add(tell: () => void, timeoutMs: number): void;
}

/** @param patienceMs that a refusal waits at most; 0: each is told at once, as where few can be connected at a time */
export function createGatheredRefusals(patienceMs = PATIENCE_MS): GatheredRefusals {
  let waiting: (() => void)[] = [];
  let endsAt = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function tellAll(): void {
    const all = waiting;
    waiting = [];
    clearTimeout(timer);
    endsAt = Number.POSITIVE_INFINITY;
    for (const tell of all) tell();
  }

  return {
    add(tell, timeoutMs) {
      if (patienceMs === 0) {
        tell();
        return;
      }
      waiting.push(tell);
      const ms = Math.min(patienceMs, timeoutMs * PATIENCE_SHARE);
      const at = performance.now() + ms;
      if (at >= endsAt) return;
      // Some predictors' readers have less time than others'.
      clearTimeout(timer);
      endsAt = at;
      timer = setTimeout(tellAll, ms);
    },
  };
}
