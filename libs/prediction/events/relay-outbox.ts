/**
 * Sends events to the online store that it may not know: those written in SQL, and those whose hint was lost. Any
 * number of relays share the work. A hint that is repeated is harmless: it only ever raises a version.
 */
import type { HintStore } from './events.ts';

export interface OutboxPage {
  /** The history in which the versions count. */
  readonly history: string;
  readonly entries: readonly OutboxEntry[];
}

interface OutboxEntry {
  readonly userId: string;
  readonly version: number;
  /** Milliseconds since the event was accepted, on Postgres' clock. */
  readonly ageMs: number;
}

/** A part of the outbox, from its oldest entries on. */
export interface OutboxSlot {
  /**
   * Takes up to `limit` entries that no other relay has, and removes them once `tell` has resolved; where it rejects, or the
   * process ends, they stay. Returns how many it removed.
   */
  relay(limit: number, tell: (page: OutboxPage) => Promise<void>): Promise<number>;
}

/** Port to the versions that committed events raised. */
export interface Outbox {
  /** Returns the slots that have entries. */
  slots(): Promise<readonly OutboxSlot[]>;
}

/** Rows are locked during the write to Redis, about 20 ms: Redis and the transaction have time limits of seconds. */
const PAGE = 1_000;

interface RelayOptions {
  /** Bounds one round, so that a process with a long queue can end. */
  readonly forMs?: number;
  /**
   * Receives each page after Redis has received it. Must not throw, and is not awaited: the page's rows are locked
   * meanwhile.
   */
  onRelayed?(page: OutboxPage): void;
  /** Milliseconds that only ever rise. */
  now?(): number;
}

/** Relays until nothing is left, or the time is over; returns how many entries. */
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

/** One hint a user: of its highest version. */
function newestOf({ history, entries }: OutboxPage) {
  const versions = new Map<string, number>();
  for (const { userId, version } of entries) versions.set(userId, Math.max(version, versions.get(userId) ?? 0));
  return Array.from(versions, ([userId, version]) => ({ userId, history, version }));
}
