/** The count of erasures, or of withdrawals, that a process without Postgres compares (unverified reads). */
import type { HistoryCount, ToldCount } from '@tandem/freshness/certificate';

/** Port: a count in the online store. Rejects with `unavailable` if it does not answer, or rejects the command. */
export interface OnlineCount {
  /** Returns the count; null if the store has none or lost it. */
  told(): Promise<ToldCount | null>;
  /** Raises the count. Afterwards the store's count is at least this number, or the store has none. */
  raise(count: HistoryCount): Promise<void>;
  /**
   * Restores the count in a store that lost it. Returns false if the store lost data or received a raise meanwhile.
   * @param count called after the store has begun to watch for such changes
   */
  restore(count: () => Promise<HistoryCount>): Promise<boolean>;
}
