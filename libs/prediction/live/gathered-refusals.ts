/**
 * Answers refusals together. Under heavy overload a refusal is due every millisecond, between runs of the model on the same
 * processor, which evict this process from its caches. Answered one by one, refusals cost a fifth to a third more CPU
 * (104 µs against 85, and 168 against 112 on a shared machine), which is lost to answers. So the first refusal waits a short
 * time for others. This also slows clients that ask again as soon as they are refused.
 * It is no statement line: nothing is sent, and each refusal has a separate limit.
 */

/** Milliseconds. */
const REFUSAL_PATIENCE_MS = 10;
/** The same as a share of the time that its reader has. */
const REFUSAL_PATIENCE_SHARE = 0.05;

interface GatheredRefusals {
  /** @param timeoutMs what the reader who is refused had in all */
  add(tell: () => void, timeoutMs: number): void;
}

/**
 * @param patienceMs that a refusal waits at most; 0: each is answered at once, for example if only few clients can be
 * connected
 */
export function createGatheredRefusals(patienceMs = REFUSAL_PATIENCE_MS): GatheredRefusals {
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
      const ms = Math.min(patienceMs, timeoutMs * REFUSAL_PATIENCE_SHARE);
      const at = performance.now() + ms;
      if (at >= endsAt) return;
      // Some predictors' readers have less time than others'.
      clearTimeout(timer);
      endsAt = at;
      timer = setTimeout(tellAll, ms);
    },
  };
}
