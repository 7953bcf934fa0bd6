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
 * certificates name them, so that no process answers with an older prediction from its memory.
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
  if (demanded.length > 0) await inTime(() => keepNow(demanded)).catch(() => keepLater(demanded));
  return inTime(() => overlay.putEach(entries)).catch(() => []);
}
