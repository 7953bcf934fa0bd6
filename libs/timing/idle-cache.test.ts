import { expect, it } from 'vitest';
import { IdleCache } from './idle-cache.ts';

function createWorld() {
  const world = { now: 0, loaded: [] as string[], fault: null as Error | null };
  const cache = new IdleCache(
    async (key) => {
      world.loaded.push(key);
      if (world.fault) throw world.fault;
      return key.toUpperCase();
    },
    () => world.now,
  );
  return { world, cache };
}

it('loads each key once, for any number of keys in use', async () => {
  const { world, cache } = createWorld();
  const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  for (let round = 0; round < 3; round++) {
    world.now += 300_000;
    for (const key of keys) expect(await cache.get(key)).toBe(key.toUpperCase());
  }
  expect(world.loaded).toEqual(keys);
});

it('forgets values that were not requested for 10 minutes', async () => {
  const { world, cache } = createWorld();
  await cache.get('a');
  world.now += 600_001;
  await cache.get('b');
  await cache.get('a');
  expect(world.loaded).toEqual(['a', 'b', 'a']);
});

it('loads a value again after a failed load', async () => {
  const { world, cache } = createWorld();
  world.fault = new Error('it is away');
  await expect(cache.get('a')).rejects.toThrow('it is away');
  world.fault = null;
  expect(await cache.get('a')).toBe('A');
});
