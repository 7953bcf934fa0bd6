/**
 * Answers refusals together. Under heavy overload a refusal is due every millisecond, between runs of the model that
 * evict this process from the processor's caches. Answered one by one, refusals cost a fifth to a third more CPU (104
 * µs against 85, and 168 against 112 on a shared machine), which answers then lack. So the first refusal waits a short
 * time for others. This also slows clients that retry immediately after a refusal. A statement line does not fit here:
 * nothing is sent, and each refusal has a separate limit.
 */

/** The longest wait of a refusal in ms. */
const REFUSAL_PATIENCE_MS = 10;
/** The longest wait of a refusal, as a share of its reader's time limit. */
const REFUSAL_PATIENCE_SHARE = 0.05;

/**
 * Creates a queue of refusals.
 * @param patienceMs the longest wait of a refusal; 0: each is answered immediately, for example if only few clients can
 * be connected
 */
export function createGatheredRefusals(patienceMs = REFUSAL_PATIENCE_MS) {
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
    /**
     * Adds a refusal, which is answered together with others.
     * @param timeoutMs the time limit of the refused reader
     */
    add(tell: () => void, timeoutMs: number): void {
      if (patienceMs === 0) {
        tell();
        return;
      }
      waiting.push(tell);
      const ms = Math.min(patienceMs, timeoutMs * REFUSAL_PATIENCE_SHARE);
      const at = performance.now() + ms;
      if (at >= endsAt) return;
      // The readers of some predictors have shorter time limits than others.
      clearTimeout(timer);
      endsAt = at;
      timer = setTimeout(tellAll, ms);
    },
  };
}
