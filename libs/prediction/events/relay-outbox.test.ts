import { describe, expect, it } from 'vitest';
import { type OutboxSlot, relayOutbox } from './relay-outbox.ts';

/** Returns an outbox with slots of these sizes, and a different user in each entry. */
function outboxOf(...sizes: readonly number[]) {
  const left = [...sizes];
  const slots = left.map((_, slot): OutboxSlot => {
    return {
      async relay(limit, tell) {
        const taken = Math.min(limit, left[slot] ?? 0);
        const entry = (i: number) => ({ userId: `${slot}/${left[slot]}/${i}`, version: 1, ageMs: 0 });
        const entries = Array.from({ length: taken }, (_, i) => entry(i));
        if (taken > 0) await tell({ history: 'h', entries });
        left[slot] = (left[slot] ?? 0) - taken;
        return taken;
      },
    };
  });
  return { left, slots: async () => slots };
}

describe('the outbox', () => {
  it('is relayed completely, page by page, and then empty', async () => {
    const outbox = outboxOf(2_500, 0, 1_000);
    const raised: string[] = [];
    const raise = async (hints: readonly { userId: string }[]) =>
      void raised.push(...hints.map(({ userId }) => userId));
    expect(await relayOutbox(outbox, { raise })).toBe(3_500);
    expect(new Set(raised).size).toBe(3_500);
    expect(outbox.left).toEqual([0, 0, 0]);
  });

  it('keeps entries that the online store did not accept', async () => {
    const outbox = outboxOf(3);
    const raise = async () => Promise.reject(new Error('Redis is away'));
    await expect(relayOutbox(outbox, { raise })).rejects.toThrow('Redis is away');
    expect(outbox.left).toEqual([3]);
  });

  it('reports each page that the online store accepted, and no other', async () => {
    const outbox = outboxOf(1_500);
    const told: number[] = [];
    let isAway = false;
    const raise = async () => {
      if (isAway) throw new Error('Redis is away');
      isAway = true;
    };
    const relaying = relayOutbox(outbox, { raise }, { onRelayed: ({ entries }) => void told.push(entries.length) });
    await expect(relaying).rejects.toThrow('Redis is away');
    expect(told).toEqual([1_000]);
  });

  it('sends one hint per user of a page, with the highest version', async () => {
    const entries = [3, 5, 4].map((version) => ({ userId: '1', version, ageMs: 0 }));
    const slot: OutboxSlot = {
      relay: async (_limit, tell) =>
        tell({ history: 'h', entries: [...entries, { userId: '2', version: 1, ageMs: 0 }] }).then(() => 4),
    };
    const raised: unknown[] = [];
    const raise = async (hints: readonly unknown[]) => void raised.push(...hints);
    expect(await relayOutbox({ slots: async () => [slot] }, { raise })).toBe(4);
    expect(raised).toEqual([
      { userId: '1', history: 'h', version: 5 },
      { userId: '2', history: 'h', version: 1 },
    ]);
  });

  it('relays the slots in turn, and leaves the rest of a very long queue to the next round', async () => {
    const outbox = outboxOf(5_000, 5_000);
    let ms = 0;
    const options = { forMs: 3, now: () => ms++ };
    expect(await relayOutbox(outbox, { raise: async () => undefined }, options)).toBe(3_000);
    expect(outbox.left).toEqual([3_000, 4_000]);
  });
});
