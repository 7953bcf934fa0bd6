/** Stores live answers in the overlay, where the next reader looks first, and in Postgres (V4). */
import type { OnlineOverlayStore, OverlayEntry, PutResult } from '@tandem/freshness/stored-prediction';
import { within } from '@tandem/timing/within';

export interface AnswerStores {
  /** The online overlay. The write is awaited, so that the next read of the user finds the answer. */
  readonly overlay: Pick<OnlineOverlayStore, 'putEach'>;
  /** Writes the copy in Postgres after the answer; entries may be lost. */
  keepLater(entries: readonly OverlayEntry[]): void;
  /** Writes the copy in Postgres before the answer. */
  keepNow(entries: readonly OverlayEntry[]): Promise<void>;
}

/**
 * Stores the predictions for the next readers. A store that hangs gets at most half of the remaining time, so that the
 * answer is still in time. Demanded entries are in Postgres before they are in Redis and before the answer: later
 * certificates name them, so that no process answers with an older prediction from its memory. If that fails, they are not
 * stored at all.
 */
export async function keepAnswers(
  { overlay, keepLater, keepNow }: AnswerStores,
  entries: readonly OverlayEntry[],
  deadline: number,
): Promise<readonly PutResult[]> {
  if (entries.length === 0) return [];
  const until = (performance.now() + deadline) / 2;
  const inTime = <T>(store: () => Promise<T>) =>
    within(until - performance.now(), store(), () => new Error('too late'));
  const demanded = entries.filter((entry) => entry.demanded);
  if (demanded.length < entries.length) keepLater(entries.filter((entry) => !entry.demanded));
  if (demanded.length > 0) {
    const isNoted = await inTime(() => keepNow(demanded)).then(
      () => true,
      () => false,
    );
    // No reader may find an answer that a process with an older prediction in memory would not give.
    if (!isNoted) return [];
  }
  return inTime(() => overlay.putEach(entries)).catch(() => []);
}
