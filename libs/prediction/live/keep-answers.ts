/** Keeps live answers where the next reader looks first, and in the lasting copy. */
import type { OnlineOverlayStore, OverlayEntry, PutResult } from '@tandem/freshness/stored-prediction';

export interface AnswerStores {
  /** Awaited: the next read of the same user should find the answer. */
  readonly overlay: Pick<OnlineOverlayStore, 'putEach'>;
  /** The lasting copy: written after the answer, and may lose entries. */
  keepLater(entries: readonly OverlayEntry[]): void;
}

/** What the next reader will find. A store that hangs has half of the time left: an answer is worth more. */
export async function keep(
  { overlay, keepLater }: AnswerStores,
  entries: readonly OverlayEntry[],
  deadline: number,
): Promise<readonly PutResult[]> {
  if (entries.length === 0) return [];
  keepLater(entries);
  const { promise, resolve } = Promise.withResolvers<readonly PutResult[]>();
  const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()) / 2, []);
  overlay.putEach(entries).then(resolve, () => resolve([]));
  return promise.finally(() => clearTimeout(timer));
}
