import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { holdLease } from './lease.ts';

const times = { leaseMs: 30_000, renewMs: 10_000 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a lease', () => {
  it('of a few hundred ms is renewed more than once a second', async () => {
    let renewals = 0;
    const held = holdLease(async () => ++renewals > 0, { leaseMs: 300, renewMs: 100 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(renewals).toBe(10);
    held.release();
  });

  it('is renewed every second while its holder works, but not after its release', async () => {
    const renewals: number[] = [];
    const held = holdLease(async (leaseMs) => renewals.push(leaseMs) > 0, times);
    await vi.advanceTimersByTimeAsync(2_500);
    expect(renewals).toEqual([30_000, 30_000]);
    held.release();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(renewals).toHaveLength(2);
    expect(held.lost.aborted).toBe(false);
  });

  it('is lost when the database says that another worker holds it', async () => {
    const held = holdLease(async () => false, times);
    expect(held.lost.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(held.lost.aborted).toBe(true);
    held.release();
  });

  it('is not lost if the database does not answer, since the fence guards the commit', async () => {
    let asked = 0;
    const renew = async () => {
      asked++;
      throw new Error('no answer');
    };
    const held = holdLease(renew, times);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(asked).toBe(3);
    expect(held.lost.aborted).toBe(false);
    held.release();
  });

  it('has at most one renewal in progress, however slow the database is', async () => {
    let asked = 0;
    const renew = () => {
      asked++;
      return new Promise<boolean>(() => undefined);
    };
    const held = holdLease(renew, times);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toBe(1);
    held.release();
  });
});
