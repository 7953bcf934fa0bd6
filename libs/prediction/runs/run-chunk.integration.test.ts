import { randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPredictionWorld, inShort, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import { createChunkLoads, gatherLoads } from './load-chunk.ts';
import { loadGeneration } from './online-generations.ts';
import { createReconcile } from './reconcile.ts';
import { createRunChunk, type RunChunkDependencies } from './run-chunk.ts';
import type { RunHints } from './run-store.ts';
import { publishNow } from './steps.fixture.ts';

let world: PredictionWorld;
let hinted: string[];
const hints: RunHints = {
  plan: async (runId) => void hinted.push(`plan ${runId}`),
  chunks: async (refs) => void hinted.push(...refs.map(({ no, fence }) => `chunk ${no} ${fence}`)),
  publish: async () => void hinted.push('publish'),
  load: async () => void hinted.push('load'),
};
const redisIsAway = () => Promise.reject(new TandemError('unavailable', 'The online store cannot be reached.'));

beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
});
beforeEach(async () => {
  hinted = [];
  await world.pool.query(
    "update tandem.runs set state = 'cancelled' where state in ('planned', 'running', 'publishing')",
  );
});
afterAll(() => world?.close());

const workerWith = (parts: Partial<RunChunkDependencies> = {}) =>
  createRunChunk({ ...world.chunkParts, hints, ...parts });

/** Runs a step after the features were read and before anything is committed. */
const scoringAfter = (happens: () => Promise<unknown>): Pick<RunChunkDependencies, 'scorer'> => {
  let happened: Promise<unknown> | undefined;
  return {
    scorer: {
      async score(request) {
        happened ??= happens();
        await happened;
        return world.inference.score(request);
      },
    },
  };
};

async function storedOf(runId: string): Promise<string[]> {
  const { rows } = await world.pool.query<{ user_id: string }>(
    `select p.user_id from tandem.predictions p join tandem.generations g on g.id = p.generation_id
     where g.run_id = $1 order by p.user_id`,
    [runId],
  );
  return rows.map((row) => row.user_id);
}

describe('a chunk of a run', () => {
  it('hints that the run can be published only when no chunk is open any more', async () => {
    const runId = await world.plan();
    expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed', chunksOpen: 1 });
    expect(hinted).toEqual([]);
    expect(await workerWith()(runId, 1)).toMatchObject({ outcome: 'committed', chunksOpen: 0 });
    expect(hinted).toEqual(['publish']);
  });

  it('is abandoned if its commit succeeded but the answer was lost: nothing counts twice', async () => {
    const runId = await world.plan();
    const answerLost = async (...commit: Parameters<typeof world.runs.commit>) => {
      await world.runs.commit(...commit);
      throw new TandemError('unavailable', 'the connection broke');
    };
    const losing = workerWith({ runs: { ...world.runs, commit: answerLost } });
    expect(await losing(runId, 0)).toMatchObject({ outcome: 'abandoned' });
    expect(await workerWith()(runId, 0)).toEqual({ outcome: 'nothing_to_do' });
    await workerWith()(runId, 1);
    const outcome = await publishNow(world.runs, runId, world.loader);
    expect(outcome).toMatchObject({ state: 'done', loaded: false, generation: { users: 40 } });
  });

  it('writes nothing if the history changed since its features were read, and is scored again in the new history', async () => {
    const runId = await world.plan();
    const rotate = () => world.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    expect(await workerWith(scoringAfter(rotate))(runId, 0)).toMatchObject({
      outcome: 'abandoned',
      why: 'history_changed',
    });
    expect(await storedOf(runId)).toEqual([]);
    await world.pool.query('update tandem.chunks set lease_until = clock_timestamp() where run_id = $1', [runId]);
    expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed', usersScored: 20 });
  });

  it('writes nothing if its run was cancelled after the read', async () => {
    const runId = await world.plan();
    const report = await workerWith(scoringAfter(() => world.runs.cancel(runId)))(runId, 0);
    expect(report).toMatchObject({ outcome: 'abandoned', why: 'run_ended' });
    expect(await storedOf(runId)).toEqual([]);
  });

  it('omits, in Postgres and Redis, a user that was erased since the features were read', async () => {
    const runId = await world.plan();
    const report = await workerWith(scoringAfter(() => world.erase('40')))(runId, 1);
    expect(report).toMatchObject({ outcome: 'committed', usersScored: 19, usersFailed: 0 });
    expect(await storedOf(runId)).not.toContain('40');
    const { rows } = await world.pool.query<{ id: string; buckets: number }>(
      'select id, buckets from tandem.generations where run_id = $1',
      [runId],
    );
    const keys = (await world.keys()).filter((key) => key.includes(`:g:${rows[0]?.id}:`));
    const fields = await Promise.all(keys.map((key) => world.connection.redis.hkeys(key)));
    expect(fields.flat()).toHaveLength(19);
    expect(fields.flat()).not.toContain('40');
  });

  it('of named users neither scores nor names erased users, even those that could not be scored', async () => {
    await world.pool.query('update counts set changes = null where user_id in (38, 39)');
    await world.erase('39');
    const runId = await world.plan({ kind: 'users', userIds: ['38', '39', '40', '9999'] });
    expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed', usersScored: 0, usersFailed: 2 });
    const failed = (await world.runs.failures(runId, 10)).map(({ userId }) => userId);
    expect(failed.sort()).toEqual(['38', '9999']);
    // Otherwise a run with a budget would not reach its minimum coverage because of them.
    expect(await world.runs.find(runId)).toMatchObject({ usersExpected: 2 });
    await world.pool.query('update counts set changes = 0 where user_id in (38, 39)');
  });

  it('of a run with a budget omits a user that no longer has a feature row', async () => {
    const budgeted = (share: number) => world.run({ kind: 'all' }, {}, undefined, { share });
    await world.run({ kind: 'all' });
    await world.change('10');
    await world.change('11');
    await world.remove('11');
    const both = await budgeted(0.05);
    expect(both.outcome).toMatchObject({ state: 'done', generation: { users: 1 } });
    expect(await world.runs.find(both.runId)).toMatchObject({ usersExpected: 1, usersScored: 1, usersFailed: 0 });
    const none = await budgeted(0.025);
    expect(none.outcome).toMatchObject({ state: 'done', generation: { users: 1 } });
    expect(await storedOf(none.runId)).toEqual(['10']);
    await world.pool.query('insert into counts (user_id, changes) values (11, 0)');
  });

  it('is returned with the reason and a hint at its next claim if its model version cannot be loaded', async () => {
    const runId = await world.plan();
    const modelVersion = () => Promise.reject(new Error('there is no model version'));
    const report = await workerWith({ registry: { modelVersion } })(runId, 0);
    expect(report).toMatchObject({ outcome: 'given_back', error: 'there is no model version', fence: 1 });
    expect(hinted).toEqual(['chunk 0 1']);
    expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed' });
  });

  it.each(['unavailable', 'overloaded', 'live_timeout'] as const)(
    'does not fail if inference has no time for it (%s)',
    async (code) => {
      const runId = await world.plan();
      const score = () => Promise.reject(new TandemError(code, 'not now'));
      const busy = workerWith({ scorer: { score }, maxAttempts: 1 });
      for (let fence = 1; fence <= 3; fence++)
        expect(await busy(runId, 0)).toMatchObject({ outcome: 'given_back', fence });
      expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed' });
    },
  );

  describe.each([
    ['all users', { kind: 'all' }],
    ['named users', { kind: 'users', userIds: ['1', '2'] }],
  ] as const)('of %s with a feature query that never ends', (_, scope) => {
    const asleep = async () =>
      (
        await world.pool.query(
          `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
        )
      ).rowCount;
    const endless = async (modelVersionId: string) => {
      const version = await world.registry.modelVersion(modelVersionId);
      const sql = 'select user_id, changes from counts, pg_sleep(86400)';
      return { ...version, id: randomUUID(), query: { ...version.query, sql } };
    };

    it('releases its backend and its slot soon after a cancellation', async () => {
      const runId = await world.plan(scope);
      const working = workerWith({ registry: { modelVersion: endless } })(runId, 0);
      await expect.poll(asleep).toBe(1);
      const asked = performance.now();
      await world.runs.cancel(runId);
      expect(await working).toMatchObject({ outcome: 'abandoned', why: 'fence_lost' });
      await expect.poll(asleep).toBe(0);
      expect(performance.now() - asked).toBeLessThan(20_000);
    });

    it('fails its run at the second attempt that reaches the time limit, with place and remedy', async () => {
      const runId = await world.plan(scope);
      const features = createFeatureSource(world.pool, { rangeTimeoutMs: 200 });
      const slow = workerWith({ registry: { modelVersion: endless }, features });
      const why = `The feature query of predictor ${PREDICTOR} did not read the users of a chunk within 0.2 s, at predictors.${PREDICTOR}.features.sql; make the query faster`;
      const outcomes = ['given_back', 'failed'];
      for (const outcome of outcomes) {
        expect(await slow(runId, 0)).toMatchObject({ outcome, error: expect.stringContaining(why) });
      }
      if (scope.kind === 'all') await workerWith()(runId, 1);
      await publishNow(world.runs, runId, world.loader);
      expect(await world.runs.find(runId)).toMatchObject({ state: 'failed', error: expect.stringContaining(why) });
    });
  });

  it('of a partial run that began before a rollback answers no reads', async () => {
    await world.run({ kind: 'all' });
    await world.run({ kind: 'all' });
    await world.change('1');
    const runId = await world.plan({ kind: 'users', userIds: ['1'] });
    const rollBack = () => world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    expect(await workerWith(scoringAfter(rollBack))(runId, 0)).toMatchObject({ outcome: 'committed' });
    const answers = await world.createReader()(PREDICTOR, ['1'], PLAIN_READ);
    expect(answers.map(inShort)).toEqual(['live context_newer 0.1']);
  });
});

describe('while Redis does not answer', () => {
  it('a run is still committed and published, and reports which chunks were not loaded', async () => {
    const loader = { loadScored: redisIsAway, completeLoad: redisIsAway };
    const { reports, runId, outcome } = await world.run({ kind: 'all' }, { loader });
    expect(reports).toMatchObject(
      Array.from({ length: 2 }, () => ({ outcome: 'committed', loadError: 'The online store cannot be reached.' })),
    );
    expect(outcome).toMatchObject({ state: 'done', loaded: false });
    expect(await world.runs.find(runId)).toMatchObject({ state: 'done' });
    const answers = await world.createReader()(PREDICTOR, ['2'], { ...PLAIN_READ, onlyIfCached: true });
    expect(answers.map(inShort)).toEqual(['batch fresh 0']);
  });

  it('a partial run is committed, and reads find its rows in Postgres', async () => {
    await world.run({ kind: 'all' });
    await world.change('3');
    const { reports } = await world.run({ kind: 'stale' }, { overlay: { put: redisIsAway } });
    expect(reports).toMatchObject([{ outcome: 'committed', loadError: 'The online store cannot be reached.' }]);
    const answers = await world.createReader()(PREDICTOR, ['3'], { ...PLAIN_READ, onlyIfCached: true });
    expect(answers.map(inShort)).toEqual(['batch fresh 0.1']);
  });
});

describe('loads that continue behind their jobs', () => {
  it('are repeated from the rows if the worker dies before them; reads in between are correct', async () => {
    const runId = await world.plan();
    const dies = { begin: async () => {}, settled: async () => {} };
    for (const no of [0, 1]) {
      const report = await workerWith({ loads: dies })(runId, no);
      expect(report).toMatchObject({ outcome: 'committed', loadError: null });
    }
    const outcome = await publishNow(world.runs, runId, world.loader);
    expect(outcome).toMatchObject({ state: 'done', loaded: false });
    const read = async () =>
      (await world.createReader()(PREDICTOR, ['2'], { ...PLAIN_READ, onlyIfCached: true })).map(inShort);
    expect(await read()).toEqual(['batch fresh 0']);
    const losses = { round: async () => false };
    const erasures = world.keepErased;
    const round = await createReconcile({ ...world, hints, losses, erasures })();
    expect([round.generationsToLoad, hinted]).toEqual([1, expect.arrayContaining(['load'])]);
    expect(await loadGeneration(world, outcome?.generation?.id ?? '')).toMatchObject({ outcome: 'loaded' });
    expect(await read()).toEqual(['batch fresh 0']);
  });

  it('of several gathered chunks contain all users when they have settled', async () => {
    const runId = await world.plan();
    const failed: string[] = [];
    const loads = createChunkLoads({ onFailed: (_chunk, why) => void failed.push(why) });
    const runChunk = workerWith({ loads, loader: gatherLoads(world.loader, { waitMs: 60_000 }) });
    for (const no of [0, 1]) await runChunk(runId, no);
    await loads.settled();
    expect(failed).toEqual([]);
    expect(await publishNow(world.runs, runId, world.loader)).toMatchObject({ state: 'done', loaded: true });
  });
});

describe('a generation that Redis lost', () => {
  const generationInForce = async () => {
    const [generation] = await world.generations.inForce();
    if (!generation) throw new Error('no current generation');
    return generation;
  };

  it('is loaded page by page, once', async () => {
    await world.run({ kind: 'all' });
    await world.loseKeys();
    const generation = await generationInForce();
    let pages = 0;
    const report = await loadGeneration(world, generation.id, () => pages++);
    expect([report, pages]).toEqual([{ outcome: 'loaded', rows: generation.users }, 1]);
    expect(await world.loader.isLoaded(generation)).toBe(true);
    expect(await loadGeneration(world, generation.id)).toEqual({ outcome: 'nothing_to_do', rows: 0 });
  });

  it('again during its load is not reported as loaded', async () => {
    await world.run({ kind: 'all' });
    await world.loseKeys();
    const generation = await generationInForce();
    const generations = {
      ...world.generations,
      async *pages(...asked: Parameters<typeof world.generations.pages>) {
        yield* world.generations.pages(...asked);
        await world.loseKeys();
      },
    };
    expect(await loadGeneration({ ...world, generations }, generation.id)).toMatchObject({ outcome: 'interrupted' });
    expect(await world.loader.isLoaded(generation)).toBe(false);
    expect(await loadGeneration(world, generation.id)).toMatchObject({ outcome: 'loaded' });
  });

  it('is not loaded if it is dropped or was never published', async () => {
    const runId = await world.plan();
    const { rows } = await world.pool.query<{ id: string }>('select id from tandem.generations where run_id = $1', [
      runId,
    ]);
    expect(await loadGeneration(world, rows[0]?.id ?? '')).toMatchObject({ outcome: 'nothing_to_do' });
    expect(await loadGeneration(world, crypto.randomUUID())).toMatchObject({ outcome: 'nothing_to_do' });
  });
});
