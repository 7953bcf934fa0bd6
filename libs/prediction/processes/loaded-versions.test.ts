import type { ModelVersion } from '@tandem/freshness/predictor';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type KeptVersions, keepLoaded, type LoadOutcome, type WantedVersion } from './loaded-versions.ts';
import type { LoadReport } from './processes.ts';

const BEAT_MS = 2_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const served = (modelVersionId: string): WantedVersion => ({ modelVersionId, isServed: true, isTried: false });
const prepared = (modelVersionId: string): WantedVersion => ({ modelVersionId, isServed: false, isTried: true });

/** Creates a register and inference children in memory. */
function createWorld(...wanted: WantedVersion[]) {
  const world = {
    wanted,
    isAway: false,
    hasLeft: false,
    /** Version → why it cannot be loaded. */
    faults: new Map<string, string>(),
    beats: [] as (readonly LoadReport[])[],
    reports: [] as LoadReport[],
    silences: [] as unknown[],
    asked: [] as string[][],
    tried: [] as string[][],
    load: async (versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]> =>
      versions.map(({ id }) => ({ modelVersionId: id, error: world.faults.get(id) ?? null })),
  };
  const kept = keepLoaded({
    register: {
      async beat(reports) {
        if (world.isAway) throw new Error('away');
        world.beats.push(reports);
        return world.wanted;
      },
      async leave() {
        world.hasLeft = true;
      },
    },
    modelVersion: async (id) => ({ id }) as ModelVersion,
    load(versions, tried) {
      world.asked.push(versions.map(({ id }) => id));
      world.tried.push([...tried]);
      return world.load(versions);
    },
    onReport: (report) => world.reports.push(report),
    onSilence: (error) => world.silences.push(error),
    everyMs: BEAT_MS,
  });
  return { world, kept };
}

const beatOnce = () => vi.advanceTimersByTimeAsync(BEAT_MS);
const whyNot = (kept: KeptVersions) => {
  try {
    kept.assertServed();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

describe('kept versions', () => {
  it('are the wanted versions; the result of a load is reported immediately, not with the next heartbeat', async () => {
    const { world, kept } = createWorld(served('a'), prepared('b'));
    world.faults.set('b', 'too large');
    await kept.started;
    await vi.advanceTimersByTimeAsync(0);
    expect(world.asked[0]).toEqual(['a', 'b']);
    expect(world.beats.at(-1)).toEqual([
      { modelVersionId: 'a', state: 'ready', error: null },
      { modelVersionId: 'b', state: 'failed', error: 'too large' },
    ]);
    expect(world.reports).toEqual(world.beats.at(-1));
    expect([kept.served(), whyNot(kept)]).toEqual([['a'], null]);
    await kept.close();
  });

  it('are retried with each heartbeat if they failed, and reported when their state changes', async () => {
    const { world, kept } = createWorld(served('a'));
    world.faults.set('a', 'damaged');
    await kept.started;
    await beatOnce();
    await beatOnce();
    expect(world.reports).toHaveLength(1);
    expect(whyNot(kept)).toContain('damaged');
    world.faults.clear();
    await beatOnce();
    expect(world.reports.at(-1)).toEqual({ modelVersionId: 'a', state: 'ready', error: null });
    expect(whyNot(kept)).toBeNull();
    await kept.close();
  });

  it('are loaded beside the heartbeats: a load delays no heartbeat', async () => {
    const { world, kept } = createWorld(served('a'));
    const { promise, resolve } = Promise.withResolvers<readonly LoadOutcome[]>();
    world.load = () => promise;
    for (let beat = 0; beat < 5; beat++) await beatOnce();
    expect(world.beats.length).toBeGreaterThanOrEqual(5);
    expect(world.beats.at(-1)).toEqual([{ modelVersionId: 'a', state: 'loading', error: null }]);
    expect(whyNot(kept)).toContain('being loaded');
    resolve([{ modelVersionId: 'a', error: null }]);
    await kept.started;
    expect(whyNot(kept)).toBeNull();
    await kept.close();
  });

  it('are not reported when they are no longer wanted', async () => {
    const { world, kept } = createWorld(served('a'), served('b'));
    await kept.started;
    world.wanted = [served('b')];
    await beatOnce();
    await beatOnce();
    expect(world.asked.at(-1)).toEqual(['b']);
    expect(world.beats.at(-1)).toEqual([{ modelVersionId: 'b', state: 'ready', error: null }]);
    await kept.close();
  });

  it('are the last known versions while the database is unreachable; its loss and its return are each reported once', async () => {
    const { world, kept } = createWorld(served('a'));
    await kept.started;
    world.isAway = true;
    await beatOnce();
    await beatOnce();
    expect([whyNot(kept), kept.served()]).toEqual([null, ['a']]);
    world.isAway = false;
    await beatOnce();
    expect(world.silences).toEqual([expect.objectContaining({ message: 'away' }), null]);
    await kept.close();
  });

  it('are unknown before the first heartbeat is answered: without its database a process starts, but is not ready', async () => {
    const { world, kept } = createWorld(served('a'));
    world.isAway = true;
    const another = createWorld(served('a'));
    another.world.isAway = true;
    await another.kept.started;
    expect(whyNot(another.kept)).toContain('not known yet');
    await Promise.all([kept.close(), another.kept.close()]);
  });
});

it('a process that ends leaves the register, and then reports nothing, even if a load ends later', async () => {
  const { world, kept } = createWorld(served('a'));
  const { promise, resolve } = Promise.withResolvers<readonly LoadOutcome[]>();
  world.load = () => promise;
  await beatOnce();
  await kept.close();
  const said = world.beats.length;
  resolve([{ modelVersionId: 'a', error: 'the pool is closed' }]);
  await beatOnce();
  expect([world.hasLeft, world.beats.length, world.reports]).toEqual([true, said, []]);
});
