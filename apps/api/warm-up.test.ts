import { describe, expect, it } from 'vitest';
import { keepWarmingUp } from './warm-up.ts';

/** Fails that often, then succeeds; counts the attempts. */
function attempts(failures: number) {
  const { promise: succeeded, resolve } = Promise.withResolvers<void>();
  const seen = { count: 0 };
  const attempt = async () => {
    if (seen.count++ < failures) throw new Error('busy');
    resolve();
  };
  return { attempt, seen, succeeded };
}

describe('warming up', () => {
  it('is tried again until it succeeds, and the first attempt is not waited for longer than it takes', async () => {
    const warned: unknown[] = [];
    const { attempt, seen, succeeded } = attempts(1);
    const warming = keepWarmingUp(attempt, { warn: (event, fields) => void warned.push({ event, ...fields }) });
    await warming.first;
    // Why, and no stack: it is no defect of this process.
    expect([seen.count, warned]).toEqual([
      1,
      [{ event: 'inference.not_warmed', error: { type: 'Error', message: 'busy' } }],
    ]);
    await succeeded;
    await warming.stop();
    expect([seen.count, warned.length]).toEqual([2, 1]);
  });

  it('stops at once, also between two attempts', async () => {
    const { attempt, seen } = attempts(Number.POSITIVE_INFINITY);
    const warming = keepWarmingUp(attempt, { warn: () => {} });
    await warming.first;
    await warming.stop();
    expect(seen.count).toBe(1);
  });
});
