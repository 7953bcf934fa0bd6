import { describe, expect, it } from 'vitest';
import { type OutboxEntry, relayOutbox } from './relay-outbox.ts';

/** Entries 1 to n, each of a user of its own. */
function outboxOf(n: number) {
  const entries: OutboxEntry[] = Array.from({ length: n }, (_, i) => ({ seq: i + 1, userId: `${i}`, version: 1 }));
  return {
    entries,
    read: async (limit: number) => ({ history: 'h', entries: entries.slice(0, limit) }),
    remove: async (seqs: readonly number[]) =>
      void entries.splice(0, entries.length, ...entries.filter(({ seq }) => !seqs.includes(seq))),
  };
}

describe('the outbox', () => {
  it('is relayed whole, page by page, and empty after it', async () => {
    const outbox = outboxOf(2_500);
    const raised: string[] = [];
    const raise = async (hints: readonly { userId: string }[]) =>
      void raised.push(...hints.map(({ userId }) => userId));
    expect(await relayOutbox(outbox, { raise })).toBe(2_500);
    expect(new Set(raised).size).toBe(2_500);
    expect(outbox.entries).toEqual([]);
  });

  it('keeps what the online store did not take', async () => {
    const outbox = outboxOf(3);
    const raise = async () => Promise.reject(new Error('Redis is away'));
    await expect(relayOutbox(outbox, { raise })).rejects.toThrow('Redis is away');
    expect(outbox.entries).toHaveLength(3);
  });

  it('leaves the rest of a very long queue for the next round', async () => {
    const outbox = outboxOf(5_000);
    expect(await relayOutbox(outbox, { raise: async () => undefined }, 2)).toBe(2_000);
    expect(outbox.entries).toHaveLength(3_000);
  });
});
