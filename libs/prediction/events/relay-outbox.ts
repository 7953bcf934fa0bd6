/**
 * Sends hints to the online store for events that it may not know: events written in SQL, and events with a lost hint.
 * Any number of relays share the work. A repeated hint is harmless, since hints only raise versions.
 */
import type { HintStore } from './events.ts';

export interface OutboxPage {
  /** The history that the versions belong to. */
  readonly history: string;
  readonly entries: readonly OutboxEntry[];
}

export interface OutboxEntry {
  readonly userId: string;
  readonly version: number;
  /** Milliseconds since the event was accepted, on Postgres' clock. */
  readonly ageMs: number;
}

/** A part of the outbox, with its oldest entries first. */
export interface OutboxSlot {
  /**
   * Locks up to `limit` entries that no other relay has locked, and removes them once `tell` has resolved. If `tell`
   * rejects or the process ends, the entries stay. Returns how many were removed.
   */
  relay(limit: number, tell: (page: OutboxPage) => Promise<void>): Promise<number>;
}

/** Port: the versions that committed events raised. */
export interface Outbox {
  /** Returns the slots that have entries. */
  slots(): Promise<readonly OutboxSlot[]>;
}

/** The number of entries in a page. Their rows are locked during the write to Redis, for about 20 ms. */
const PAGE = 1_000;

interface RelayOptions {
  /** The longest duration of a round in ms, so that a process with a long queue can end. */
  readonly forMs?: number;
  /**
   * Receives each page after Redis has received it. It must not throw, and its result is not awaited, since the page's
   * rows are locked during the call.
   */
  onRelayed?(page: OutboxPage): void;
  /** A clock in milliseconds that only rises. */
  now?(): number;
}

/** Relays until nothing is left or the time is over. Returns the number of relayed entries. */
export async function relayOutbox(outbox: Outbox, hints: HintStore, options: RelayOptions = {}): Promise<number> {
  const { forMs = 3_000, onRelayed, now = () => performance.now() } = options;
  const until = now() + forMs;
  const slots = [...(await outbox.slots())];
  let relayed = 0;
  for (let slot = slots.shift(); slot; slot = slots.shift()) {
    const taken = await slot.relay(PAGE, async (page) => {
      const newest = newestOf(page);
      await hints.raise(newest);
      onRelayed?.(page);
    });
    relayed += taken;
    if (now() >= until) break;
    if (taken === PAGE) slots.push(slot);
  }
  return relayed;
}

/** Returns one hint per user, with the user's highest version. */
function newestOf({ history, entries }: OutboxPage) {
  const versions = new Map<string, number>();
  for (const { userId, version } of entries) versions.set(userId, Math.max(version, versions.get(userId) ?? 0));
  return Array.from(versions, ([userId, version]) => ({ userId, history, version }));
}
