import type { LivePredictor } from '@tandem/freshness/live-predictor';
import { NOTHING_LOST } from '@tandem/freshness/lost-past.fixture';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createPauseClock } from '@tandem/inference/live/toy-predictor.fixture';
import { createPlainAuthority } from '@tandem/offline-store/certificate/plain-authority';
import { createOutbox } from '@tandem/offline-store/events/outbox';
import { rewriteContexts } from '@tandem/offline-store/events/pending-patterns';
import { patientPredictions } from '@tandem/offline-store/store.fixture';
import { createRefreshWindows } from '@tandem/online-store/refresh-windows';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { relayOutbox } from '../events/relay-outbox.ts';
import { createLivePredictor, type LivePredictorDependencies } from '../live/live-prediction.ts';
import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '../prediction-world.fixture.ts';
import { createCpuBudget } from '../scoring/cpu-budget.ts';
import type { ScoreRequest } from '../scoring/scoring.ts';
import { Refresh, type RefreshDependencies } from './refresh.ts';

let world: PredictionWorld;
beforeEach(async () => {
  world = await createPredictionWorld({ users: 40 });
  await world.run({ kind: 'all' });
});
afterEach(() => world.close());

/** A worker that re-scores, with its counters. The test moves its clock. */
function createWorker(parts: Partial<RefreshDependencies> = {}, live: Partial<LivePredictorDependencies> = {}) {
  const counted: Record<string, number> = {};
  const count = (what: string, by = 1) => {
    counted[what] = (counted[what] ?? 0) + by;
  };
  const statements: string[][] = [];
  let skippedMs = 0;
  const rescoring: LivePredictor = createLivePredictor({
    scorer: world.inference,
    overlay: world.overlay,
    keepLater: (entries) => void world.overlayRows.put(entries).catch(() => {}),
    keepNow: world.overlayRows.put,
    refreshes: true,
    ...live,
    features: {
      ...world.features,
      readUsers(version, userIds, ...rest) {
        statements.push([...userIds]);
        return (live.features ?? world.features).readUsers(version, userIds, ...rest);
      },
    },
  });
  const refresh = new Refresh({
    authority: createPlainAuthority(world.pool),
    registry: world.registry,
    online: world.online,
    offline: patientPredictions(world.pool),
    lostPast: NOTHING_LOST,
    live: rescoring,
    windows: createRefreshWindows({ connection: world.connection, prefix: world.prefix }),
    demand: { weightsOf: async () => new Map() },
    budget: createCpuBudget(1, () => performance.now()),
    observer: {
      counted: (_predictor, outcome) => count(outcome),
      stored: (_predictor, lagMs) => count(lagMs >= 0 ? 'stored' : 'stored before its event'),
      dropped: (users, why) => count(why, users),
      failed: (users, error) => count(String(error), users),
    },
    now: () => performance.now() + skippedMs,
    ...parts,
  });
  return {
    refresh,
    counted,
    statements,
    /** Relays the events that have arrived, and re-scores up to the given number of their users. */
    async relay(): Promise<void> {
      await relayOutbox(
        createOutbox(world.pool),
        { raise: async () => {} },
        { onRelayed: (page) => refresh.told(page) },
      );
    },
    skip(ms: number): void {
      skippedMs += ms;
    },
    /** Waits until the queue is empty. */
    async settled(): Promise<void> {
      await vi.waitFor(() => expect(refresh.waiting()).toBe(0), { timeout: 20_000, interval: 10 });
      await refresh.stop();
    },
  };
}

const noLive: LivePredictor = {
  predict: () => {
    throw new Error('a read has inferred');
  },
};
const read = async (userId: string, live?: LivePredictor) =>
  inShort((await world.createReader(live ? { live } : {})(PREDICTOR, [userId], PLAIN_READ))[0]);

describe('re-scoring', () => {
  it('makes the next read after an event a hit from the context of that event', async () => {
    const worker = createWorker();
    for (const userId of ['1', '2', '3']) await world.change(userId);
    await worker.relay();
    worker.skip(2_000);
    await worker.settled();
    expect(worker.counted).toEqual({ inferred: 3, stored: 3 });
    for (const userId of ['1', '2', '3']) expect(await read(userId, noLive)).toMatch(/^live fresh 0.1/);
    expect(await read('4', noLive)).toMatch(/^batch fresh 0/);
  });

  it('marks its predictions in Redis and in Postgres’ rows', async () => {
    const worker = createWorker();
    await world.change('1');
    await worker.relay();
    worker.skip(2_000);
    await worker.settled();
    const assignment = (await world.authority.certify([])).assignments(PREDICTOR)?.stable;
    if (!assignment) throw new Error('nothing is assigned');
    const marksOf = async (store: Pick<typeof world.online, 'find'>) =>
      (await store.find(assignment, ['1'])).get('1')?.map(({ layer, refreshed }) => [layer, refreshed === true]);
    const marks = [
      ['generation', false],
      ['overlay', true],
    ];
    expect(await marksOf(world.online)).toEqual(marks);
    const stored = patientPredictions(world.pool);
    await expect.poll(() => marksOf(stored)).toEqual(marks);
  });

  it('skips a user that a read has already inferred', async () => {
    const worker = createWorker();
    await world.change('1');
    expect(await read('1')).toMatch(/^live context_newer 0.1/);
    await worker.relay();
    worker.skip(2_000);
    await worker.settled();
    expect(worker.counted).toEqual({ taken_out: 1 });
    expect(worker.statements).toEqual([]);
  });

  it('skips users with events that do not concern the predictor, and predictors without re-scoring', async () => {
    await world.adoptWith({ events: ['order.*'] });
    await vi.waitFor(async () => {
      await rewriteContexts(world.pool);
      const { rows } = await world.pool.query('select from tandem.predictors where patterns_pending');
      expect(rows).toEqual([]);
    }, 20_000);
    const worker = createWorker();
    await world.pool.query(`insert into tandem.events (user_id, type) values ('1', 'page.view')`);
    await worker.relay();
    worker.skip(2_000);
    await worker.settled();
    expect(worker.counted).toEqual({ taken_out: 1 });
    for (const freshness of [{ refresh: null }, { live: false }, { events: [] }]) {
      await world.adoptWith(freshness);
      const off = createWorker();
      await world.change('2');
      await off.relay();
      off.skip(2_000);
      await off.settled();
      expect(off.counted).toEqual({});
    }
  });

  it('skips a predictor while its stable version needs request features', async () => {
    const request = [{ name: 'amount', kind: 'number' }] as const;
    const needing = { modelVersion: async (id: string) => ({ ...(await world.registry.modelVersion(id)), request }) };
    const counted = async (registry: RefreshDependencies['registry']) => {
      const worker = createWorker({ registry });
      await world.change('1');
      await worker.relay();
      worker.skip(2_000);
      await worker.settled();
      return worker.counted;
    };
    expect(await counted({ ...world.registry, ...needing })).toEqual({});
    expect(await counted(world.registry)).toEqual({ inferred: 1, stored: 1 });
  });

  it('infers a user at most once in a window, for any number of events and workers', async () => {
    await world.adoptWith({ refresh: { withinMs: 600_000 } });
    const [one, other] = [createWorker(), createWorker()];
    const storm = async (worker: typeof one, skipMs: number) => {
      await world.pool.query(`insert into tandem.events (user_id) select '1' from generate_series(1, 100)`);
      await worker.relay();
      worker.skip(skipMs);
    };
    await storm(one, 2_000);
    await vi.waitFor(() => expect(one.counted.inferred).toBe(1), { timeout: 20_000 });
    // When a worker knows the window, users wait for a part of it.
    for (const [worker, skipMs] of [
      [one, 76_000],
      [other, 2_000],
    ] as const) {
      await storm(worker, skipMs);
      await vi.waitFor(() => expect(worker.counted.waiting).toBe(1), { timeout: 20_000 });
      await worker.refresh.stop();
      expect(worker.refresh.waiting()).toBe(1);
    }
    expect([...one.statements, ...other.statements]).toEqual([['1']]);
  });

  it('infers no erased user; a user that makes the query fail does not delay others', async () => {
    const worker = createWorker();
    for (const userId of ['1', '2', '3']) await world.change(userId);
    await world.change('3', 20);
    await worker.relay();
    await world.erase('1');
    worker.skip(2_000);
    await worker.settled();
    expect(worker.counted).toEqual({ erased: 1, inferred: 1, stored: 1, failed: 1 });
    expect(await read('1')).toBe('unknown_user');
    expect(await read('2', noLive)).toMatch(/^live fresh 0.1/);
  });

  it('of a user that makes the model hang pauses the model, but not chunks of runs', async () => {
    const pool = createInferencePool({
      ...{ loadArtifact: world.registry.loadArtifact, log: () => {}, processes: 1 },
      ...{ killGraceMs: 10, maxLostMs: 200 },
      ...createPauseClock().options,
    });
    try {
      await world.adoptHanging();
      await world.run({ kind: 'all' }, { scorer: pool });
      // No reader waits here, so the hanging run need not last as long as a pass may.
      const scorer = { ...pool, score: (request: ScoreRequest) => pool.score({ ...request, timeoutMs: 500 }) };
      const worker = createWorker({}, { scorer });
      for (let failures = 1; failures <= 3; failures++) {
        await world.change('1', 10);
        await worker.relay();
        worker.skip(2_000);
        await vi.waitFor(() => expect(worker.counted.failed).toBe(failures), { timeout: 20_000 });
      }
      await worker.settled();
      expect(pool.stats().restingModels).toBe(1);
      const { reports } = await world.run({ kind: 'users', userIds: ['2', '3'] }, { scorer: pool });
      expect(reports).toMatchObject([{ outcome: 'committed', usersScored: 2, usersFailed: 0 }]);
      expect(pool.stats().restingModels).toBe(1);
    } finally {
      await pool.close(0);
    }
  });

  it.each([
    ['a rollback', `update tandem.arms set overlay_floor = overlay_floor + 1, revision = revision + 1`],
    ['a restore', 'update tandem.history_rotation set rotation = gen_random_uuid()'],
  ])('stores no wrong label if %s comes between its certificate and its features', async (_what, sql) => {
    const gate = createGate();
    const features: LivePredictorDependencies['features'] = {
      ...world.features,
      async readUsers(...asked) {
        await gate.pass();
        return world.features.readUsers(...asked);
      },
    };
    const worker = createWorker({}, { features });
    await world.change('1');
    await worker.relay();
    worker.skip(2_000);
    await gate.arrived;
    await world.pool.query(sql);
    gate.open();
    await worker.settled();
    // If a prediction was stored, it fits no read, so the read infers.
    expect(await read('1')).toMatch(/^live (rolled_back|context_newer|missing) 0.1/);
  });

  it('gives up if a store, the windows or the authority fail', async () => {
    const away = () => Promise.reject(new Error('away'));
    const worker = createWorker({ windows: { take: away } });
    await world.change('1');
    await worker.relay();
    worker.skip(2_000);
    await worker.settled();
    expect(worker.counted).toEqual({ failed: 1 });
    const blind = createWorker({ authority: { certify: away } });
    await world.change('2');
    await blind.relay();
    blind.skip(2_000);
    await blind.settled();
    expect(blind.counted).toEqual({ 'Error: away': 1 });
    expect(await read('1')).toMatch(/^live context_newer 0.1/);
  });

  it('begins no pass while its share of the processors is spent', async () => {
    const budget = createCpuBudget(0.5, () => 0);
    budget.charge(10_000);
    const worker = createWorker({ budget });
    await world.change('1');
    await worker.relay();
    worker.skip(2_000);
    expect(worker.refresh.waiting()).toBe(1);
    await worker.refresh.stop();
    expect(worker.statements).toEqual([]);
  });
});
