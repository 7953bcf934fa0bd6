import { describe, expect, it, vi } from 'vitest';
import { repeat } from './repeat.ts';

describe('repeat', () => {
  it('repeats one round at a time, and ends the last round before it is stopped', async () => {
    let [rounds, underWay, most] = [0, 0, 0];
    const repeating = repeat(1, async () => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      rounds++;
      underWay--;
    });
    await vi.waitUntil(() => rounds >= 3, 20_000);
    await repeating.stop();
    const after = rounds;
    expect(underWay).toBe(0);
    expect(most).toBe(1);
    await repeating.stop();
    expect(rounds).toBe(after);
  });

  it('stops at once if it only waits for the next round', async () => {
    let rounds = 0;
    const repeating = repeat(86_400_000, async () => void rounds++);
    await repeating.stop();
    expect(rounds).toBe(1);
  });
});
