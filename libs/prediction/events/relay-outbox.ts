/**
 * Tells the online store of events that it may not know: those written in SQL, and those whose hint was lost. Several
 * relays at once repeat hints, which is harmless: a hint only ever raises a version.
 */
import type { HintStore } from './events.ts';

export interface OutboxEntry {
  readonly seq: number;
  readonly userId: string;
  readonly version: number;
}

/** Port to the versions that committed events raised, oldest first. */
export interface Outbox {
  /** Entries, and the history in which their versions count. */
  read(limit: number): Promise<{ readonly history: string; readonly entries: readonly OutboxEntry[] }>;
  remove(seqs: readonly number[]): Promise<void>;
}

const PAGE = 1_000;

/**
 * @param maxPages bounds one round, so that a long queue does not hold up what else the caller does
 * @returns how many entries were relayed
 */
export async function relayOutbox(outbox: Outbox, hints: HintStore, maxPages = 20): Promise<number> {
  let relayed = 0;
  for (let page = 0; page < maxPages; page++) {
    const { history, entries } = await outbox.read(PAGE);
    if (entries.length === 0) break;
    await hints.raise(entries.map(({ userId, version }) => ({ userId, history, version })));
    await outbox.remove(entries.map(({ seq }) => seq));
    relayed += entries.length;
    if (entries.length < PAGE) break;
  }
  return relayed;
}
