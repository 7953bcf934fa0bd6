/**
 * Reads whose candidates are ahead of their certificate: newer than it, or of commits that a crash of Postgres has
 * lost. The tests lose a commit by undoing what it wrote.
 */
import { reportLostPast } from '@tandem/offline-store/sql/report-lost-past';
import { createLivePredictor } from '@tandem/prediction/live/live-prediction';
import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LostLabel } from './lost-past.ts';
import { PLAIN_READ } from './read-options.ts';
import type { PredictionReaderDependencies } from './reader.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
  await world.adoptWith();
  await world.run({ kind: 'all' });
});
beforeEach(() => world.adoptWith());
afterAll(() => world?.close());

const onlyIfCached = { ...PLAIN_READ, onlyIfCached: true };

/** A reader that begins another history if the past is lost, what it reported, and the certificates it asked for. */
function createReader(parts: Partial<PredictionReaderDependencies> = {}) {
  const reported: LostLabel[] = [];
  const asked: (readonly string[])[] = [];
  const signs = { metrics: { lostPasts: { inc() {} } }, log: { error() {} } };
  const lostPast = reportLostPast(world.pool, signs);
  const writes: Promise<void>[] = [];
  const read = world.createReader(
    {
      authority: {
        certify(userIds, ...predictors) {
          asked.push(userIds);
          return world.authority.certify(userIds, ...predictors);
        },
      },
      lostPast: {
        report(lost) {
          reported.push(lost);
          return lostPast.report(lost);
        },
      },
      ...parts,
    },
    { keepLater: (entries) => void writes.push(world.overlayRows.put(entries)) },
  );
  const short = async (userIds: readonly string[], options = PLAIN_READ) =>
    (await read(PREDICTOR, userIds, options)).map(inShort);
  return { short, read, reported, asked, written: () => Promise.all(writes) };
}

/** Undoes the only event of a user: its context version is assigned again to the next event. */
async function lose(userId: string): Promise<void> {
  await world.pool.query('delete from tandem.user_contexts where user_id = $1::text', [userId]);
  await world.pool.query('update counts set changes = 0 where user_id = $1::bigint', [userId]);
}

/** Adds a user without a row in the generation. */
const addUser = (userId: string) => world.pool.query('insert into counts (user_id, changes) values ($1, 0)', [userId]);

const history = async () => (await world.authority.certify([])).history;

describe('a candidate that is newer than the certificate', () => {
  it('answers under a second certificate', async () => {
    const gate = createGate();
    const { short, read, reported, asked } = createReader({
      online: {
        ...world.online,
        async find(assignment, userIds) {
          if (userIds.includes('1')) await gate.pass();
          return world.online.find(assignment, userIds);
        },
      },
      authority: {
        async certify(userIds, ...predictors) {
          asked.push(userIds);
          const certificate = await world.authority.certify(userIds, ...predictors);
          if (asked.length === 2) {
            await world.change('1');
            expect(await createReader().short(['1'])).toEqual(['live context_newer 0.1']);
            gate.open();
          }
          return certificate;
        },
      },
    });
    await short(['2']);
    const [first, second] = await read(PREDICTOR, ['1', '2'], PLAIN_READ);
    expect([inShort(first), inShort(second)]).toEqual(['live fresh 0.1', 'batch fresh 0']);
    expect(first).toMatchObject({ contextVersion: 1, predictedFromContextVersion: 1, hit: true });
    expect(asked).toEqual([['2'], ['1', '2'], ['1']]);
    expect(reported).toEqual([]);
  });
});

describe('a lost past', () => {
  it('is never answered from, nor after its version is reached again', async () => {
    const { short, reported } = createReader();
    for (const userId of ['3', '4', '5']) await world.change(userId);
    await short(['3', '4', '5']);
    expect(await short(['3', '4', '5'])).toEqual(Array(3).fill('live fresh 0.1'));
    const before = await history();
    await lose('3');
    await lose('4');
    // The answer of user 5 was certified before the loss was known; the next read of it is in another history.
    expect(await short(['3', '4', '5', '6'])).toEqual([
      'batch fresh 0',
      'batch fresh 0',
      'live fresh 0.1',
      'batch fresh 0',
    ]);
    expect(reported).toEqual([{ history: before, predictor: PREDICTOR, userId: '3', label: 1, version: 0 }]);
    expect(await history()).not.toBe(before);
    for (const userId of ['3', '4']) await world.change(userId, 3);
    expect(await short(['3', '4', '5', '6'])).toEqual([
      'live context_newer 0.3',
      'live context_newer 0.3',
      'live context_newer 0.1',
      'batch fresh 0',
    ]);
  });

  it('is ignored by a process that may not begin another history', async () => {
    const { short } = createReader({ lostPast: { report: async () => {} } });
    await addUser('101');
    await world.change('101');
    expect(await createReader().short(['101'])).toEqual(['live missing 0.1']);
    const before = await history();
    await lose('101');
    expect(await short(['101'], onlyIfCached)).toEqual(['not_cached']);
    expect(await short(['101'])).toEqual(['live missing 0']);
    expect(await history()).toBe(before);
  });

  it('is ignored even if the next event reaches its version during the read', async () => {
    await addUser('102');
    await world.change('102');
    expect(await createReader().short(['102'])).toEqual(['live missing 0.1']);
    await lose('102');
    const { short } = createReader({ lostPast: { report: () => world.change('102', 3) } });
    await short(['2']);
    expect(await short(['102'])).toEqual(['live missing 0.3']);
  });

  it("is detected in Postgres' rows, if Redis has nothing", async () => {
    const { short, reported, written } = createReader();
    await world.change('8');
    expect(await short(['8'])).toEqual(['live context_newer 0.1']);
    await written();
    await lose('8');
    await world.loseKeys();
    expect(await short(['8'], onlyIfCached)).toEqual(['batch fresh 0']);
    expect(reported).toMatchObject([{ userId: '8', label: 1, version: 0 }]);
  });

  it('is not answered from by a reader that shares an inference from before the crash', async () => {
    await world.adoptWith({ onLiveFailure: 'error' });
    const gate = createGate();
    const { features, inference, overlay } = world;
    const scorer = {
      async score(request: Parameters<typeof inference.score>[0]) {
        await gate.pass();
        return inference.score(request);
      },
    };
    const shared = createLivePredictor({ features, scorer, overlay, keepLater() {}, keepNow: world.overlayRows.put });
    let calls = 0;
    const { short, reported } = createReader({
      live: {
        predict(request) {
          const outcomes = shared.predict(request);
          if (++calls === 2) gate.open();
          return outcomes;
        },
      },
    });
    await addUser('100');
    await world.change('100');
    const leading = short(['100']);
    await gate.arrived;
    await lose('100');
    expect(await short(['100'])).toEqual(['live_failed']);
    expect(await leading).toEqual(['live missing 0.1']);
    expect(reported).toMatchObject([{ userId: '100', label: 1, version: 0 }]);
    expect(await short(['100'])).toEqual(['live missing 0']);
    expect(await short(['100'])).toEqual(['live fresh 0']);
  });
});
