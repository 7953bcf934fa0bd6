import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { CertifiedFeatures, FeatureSource } from '@tandem/prediction/scoring/feature-source';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createWarmUpReads, WARM_CONNECTIONS } from './keep-loaded.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const version = (id: string) => ({ id }) as ModelVersion;
const READS = 2 * WARM_CONNECTIONS;

/**
 * Creates a feature source and a scorer in memory. They record the users that were read, and how often each version was
 * scored.
 */
function createWorld() {
  const world = {
    users: new Map<string, string>(),
    failing: new Set<string>(),
    hanging: new Set<string>(),
    read: [] as string[],
    scored: [] as string[],
    warnings: [] as unknown[],
  };
  const readUsers: FeatureSource['readUsers'] = async ({ id }, userIds) => {
    world.read.push(`${id}:${userIds.join()}`);
    if (world.failing.has(id)) throw new Error('no such table');
    if (world.hanging.has(id)) return new Promise(() => {});
    return { batch: { userIds, faults: new Map() } as Partial<FeatureBatch> } as CertifiedFeatures;
  };
  const warmUp = createWarmUpReads({
    featureSource: { readUsers } as FeatureSource,
    scorer: {
      async score(request) {
        world.scored.push(request.version.id);
        return { tensors: {} };
      },
    },
    findScoredUsers: async (ids) => new Map([...world.users].filter(([id]) => ids.includes(id))),
    log: { warn: (event, fields) => world.warnings.push([event, fields]) },
  });
  return { world, warmUp };
}

it('reads and scores a user of each version, on each connection, once', async () => {
  const { world, warmUp } = createWorld();
  world.users.set('a', '7');
  await warmUp([version('a')]);
  await warmUp([version('a')]);
  expect(world.read).toEqual(Array(READS).fill('a:7'));
  expect(world.scored).toEqual(Array(READS).fill('a'));
});

it('a version without a generation is warmed up without a user, and again when it has a generation', async () => {
  const { world, warmUp } = createWorld();
  await warmUp([version('a')]);
  await warmUp([version('a')]);
  expect([world.read, world.scored]).toEqual([Array(READS).fill('a:'), []]);
  world.users.set('a', '7');
  await warmUp([version('a')]);
  expect(world.read.slice(READS)).toEqual(Array(READS).fill('a:7'));
});

it('a version with a failing query is logged once, and the others are warmed up', async () => {
  const { world, warmUp } = createWorld();
  world.failing.add('a');
  world.users.set('b', '7');
  await warmUp([version('a'), version('b')]);
  await warmUp([version('a'), version('b')]);
  expect(world.warnings).toEqual([['reads.not_warmed', expect.objectContaining({ modelVersionId: 'a' })]]);
  expect(world.scored).toEqual(Array(READS).fill('b'));
});

it('a query that hangs delays the start by 3 s, and is not repeated', async () => {
  const { world, warmUp } = createWorld();
  world.users.set('a', '7');
  world.hanging.add('a');
  const done = vi.fn();
  void warmUp([version('a'), version('b')]).then(done);
  await vi.advanceTimersByTimeAsync(2_999);
  expect(done).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(done).toHaveBeenCalled();
  void warmUp([version('a'), version('b')]);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(world.read).toEqual(Array(WARM_CONNECTIONS).fill('a:7'));
});
