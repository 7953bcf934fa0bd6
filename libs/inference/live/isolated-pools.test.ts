import * as models from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IsolatedPools } from './isolated-pools.ts';
import { createPauseClock, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

const stable = matrixPredictor(models.linearModel({ weights: [1, 2], bias: 0.5 }), 2);
const candidate = matrixPredictor(models.linearModel({ weights: [3, 4] }), 2);
/** The model hangs for a user with a large number. */
const hanging = matrixPredictor(models.loopModel(), 2);
const scoreOfCandidate = expect.closeTo(models.linearScore([3, 4], 0, [1, 1]), 5);
const FOR_EVER = 2 ** 62;
/**
 * The time limit of a read that hangs. It is a little longer than that of the other reads, which must not wait for it,
 * and longer than a busy machine delays a read.
 */
const HANG_MS = 4_000;
const VERSIONS = [stable.version, candidate.version];
const TRIED = new Set([candidate.version.id]);
/** Milliseconds in which a busy machine ends a process and starts another. */
const PATIENCE = 60_000;

vi.setConfig({ testTimeout: 3 * PATIENCE });

let pools: IsolatedPools;
let opened = 0;
/** The reads that hang. */
let hung = 0;
beforeEach(() => {
  opened = 0;
  const { options: clock } = createPauseClock();
  pools = new IsolatedPools((options) => {
    opened++;
    return poolOf([stable, candidate, hanging], { processes: 1, maxLostMs: 2 * HANG_MS, ...options, ...clock });
  });
});
afterEach(() => pools.close(0));

const loaded = (...versions: readonly { readonly id: string }[]) =>
  versions.map(({ id }) => ({ modelVersionId: id, error: null }));

/**
 * Reads the stable version repeatedly until the work is done. Returns the number of answers in time, and the failures.
 */
async function readMeanwhile(work: Promise<unknown>, timeoutMs: number) {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  const lost: unknown[] = [];
  let served = 0;
  while (!isDone) {
    await scoresOf(pools, stable, [[1, 1]], { timeoutMs }).then(
      () => served++,
      (error: unknown) => lost.push(error),
    );
  }
  await done;
  return { served, lost };
}

/** Performs a live read of other features, which makes the candidate's child hang until the deadline. */
const hang = () =>
  scoresOf(pools, hanging, [[FOR_EVER, hung++]], { timeoutMs: HANG_MS }).then(
    () => expect.unreachable('it hangs'),
    (error: unknown) => (error as { code?: string }).code,
  );

describe('a version on trial in a rollout', () => {
  it('that hangs repeatedly does not affect reads of the stable version, with one child', async () => {
    const both = [stable.version, hanging.version];
    expect(await pools.load(both, new Set([hanging.version.id]))).toEqual(loaded(...both));
    const hangs = (async () => {
      const codes: unknown[] = [];
      for (let i = 0; i < 6; i++) codes.push(await hang());
      return codes;
    })();
    const { served, lost } = await readMeanwhile(hangs, HANG_MS - 500);
    expect(lost).toEqual([]);
    expect(served).toBeGreaterThan(10);
    // After its second or third child the version is paused, and its reads are rejected at once.
    expect((await hangs).slice(0, 2)).toEqual(['live_timeout', 'live_timeout']);
    expect(await hangs).toContain('unavailable');
    expect(pools.stats().restingModels).toBe(1);
  });

  it('has a separate child, which ends with its rollout; then the stable children answer with the version at once', async () => {
    expect(await pools.load(VERSIONS, TRIED)).toEqual(loaded(...VERSIONS));
    expect(pools.stats().pids).toHaveLength(2);
    expect(await scoresOf(pools, candidate, [[1, 1]])).toEqual([scoreOfCandidate]);
    const afterwards = await pools.load(VERSIONS);
    expect(afterwards).toEqual(loaded(...VERSIONS));
    await vi.waitFor(() => expect(pools.stats().pids).toHaveLength(1), PATIENCE);
    const [pid] = pools.stats().pids;
    expect(await scoresOf(pools, candidate, [[1, 1]])).toEqual([scoreOfCandidate]);
    expect(pools.stats().pids).toEqual([pid]);
    expect(opened).toBe(2);
  });

  it('shares a child with others if many are on trial, but never with the stable version', async () => {
    const many = Array.from({ length: 6 }, (_, i) => matrixPredictor(models.linearModel({ weights: [i, 1] }), 2));
    await pools.close(0);
    const shares: Set<string>[] = [];
    pools = new IsolatedPools((options) => {
      const share = new Set<string>();
      shares.push(share);
      const pool = poolOf([stable, ...many], { processes: 1, ...options });
      const score: typeof pool.score = (request) => {
        share.add(request.version.id);
        return pool.score(request);
      };
      return { ...pool, score };
    });
    const versions = [stable, ...many].map(({ version }) => version);
    const tried = new Set(many.map(({ version }) => version.id));
    expect(await pools.load(versions, tried)).toEqual(loaded(...versions));
    for (const one of [stable, ...many]) await scoresOf(pools, one, [[1, 1]]);
    expect(shares.map(({ size }) => size)).toEqual([1, 2, 2, 1, 1]);
    expect([...(shares[0] ?? [])]).toEqual([stable.version.id]);
    await pools.load(versions.slice(0, 1));
    await vi.waitFor(() => expect(pools.stats().pids).toHaveLength(1), PATIENCE);
  });

  it('is reported as loaded only after its separate child has loaded it too', async () => {
    const broken = new Set<number>([2]);
    await pools.close(0);
    opened = 0;
    pools = new IsolatedPools((options) => {
      opened++;
      const refuse = async () => Promise.reject(new Error('the disk is gone'));
      return poolOf([stable, candidate], {
        ...{ processes: 1, ...options },
        ...(broken.has(opened) ? { loadArtifact: refuse } : {}),
      });
    });
    expect(await pools.load(VERSIONS, TRIED)).toMatchObject([
      { error: null },
      { modelVersionId: candidate.version.id, error: expect.stringContaining('the disk is gone') },
    ]);
  });
});
