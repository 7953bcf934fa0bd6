import { expect } from 'vitest';
import type { Audience } from './audience.fixture.ts';
import { COUNT } from './counts.fixture.ts';
import type { Api } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

/** Waits for enough further reads and acknowledged events to observe the current state. */
export async function untilMore({ seen }: Audience): Promise<void> {
  const { fresh, acknowledged } = seen;
  await until('reads and events continue', () => seen.fresh > fresh + 150 && seen.acknowledged > acknowledged + 30);
}

/**
 * Waits until reads find users without events fresh in Redis' copy of the generation.
 * @param generation the generation's number; default: any generation
 */
export async function untilHitInRedis({ client }: Api, users: readonly string[], generation?: string): Promise<void> {
  for (const user of users) {
    await until(`the generation is in Redis, with user ${user}`, async () => {
      const { candidates } = await client.explanation(COUNT, user);
      return candidates.some(
        (one) =>
          one.store === 'redis' &&
          one.layer === 'generation' &&
          one.state === 'fresh' &&
          (generation === undefined || one.generation === generation),
      );
    });
    const { answer, cacheStatus } = await client.predict(COUNT, user);
    expect(answer).toMatchObject({ source: 'batch', reason: 'fresh' });
    expect(cacheStatus).toBe('tandem; hit');
  }
}
