import { createLivePredictor } from '@tandem/prediction/live/live-prediction';
import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PLAIN_READ } from './read-options.ts';
import type { PredictionReader } from './reader.ts';
import type { Candidates, StoredPredictions } from './stored-prediction.ts';

let world: PredictionWorld;
let read: PredictionReader;
const maxStale = { ...PLAIN_READ, maxStale: Number.POSITIVE_INFINITY };
const onlyIfCached = { ...PLAIN_READ, onlyIfCached: true };

beforeAll(async () => {
  world = await createPredictionWorld({ users: 60 });
});
beforeEach(async () => {
  await world.adoptWith();
  read = world.createReader();
});
afterAll(() => world?.close());

const short = async (userIds: readonly string[], options = PLAIN_READ) =>
  (await read(PREDICTOR, userIds, options)).map(inShort);

describe('a read of many users', () => {
  it('gives each user the right answer, in order, even if others fail', async () => {
    await world.run({ kind: 'all' });
    await world.change('2');
    await world.change('3', 10);
    await world.erase('4');
    await world.adoptWith({ onLiveFailure: 'error' });
    expect(await short(['1', '2', '3', '4', '9999', '2', '1'])).toEqual([
      'batch fresh 0',
      'live context_newer 0.1',
      'live_failed',
      'unknown_user',
      'unknown_user',
      'live context_newer 0.1',
      'batch fresh 0',
    ]);
  });

  it('asks each store once, and infers all stale users together', async () => {
    await world.run({ kind: 'all' });
    for (const userId of ['5', '6', '7']) await world.change(userId);
    const asked: string[] = [];
    const counting = <T extends object>(name: string, port: T): T =>
      new Proxy(port, {
        get(target, property) {
          const member: unknown = Reflect.get(target, property, target);
          if (typeof member !== 'function' || property === 'serverId') return member;
          return (...args: unknown[]) => {
            asked.push(name);
            return member.apply(target, args);
          };
        },
      });
    read = world.createReader(
      { authority: counting('authority', world.authority), online: counting('online', world.online) },
      { features: counting('features', world.features), scorer: counting('scorer', world.inference) },
    );
    await short(['1']);
    asked.length = 0;
    expect(await short(['1', '5', '6', '7', '8'])).toEqual([
      'batch fresh 0',
      ...Array.from({ length: 3 }, () => 'live context_newer 0.1'),
      'batch fresh 0',
    ]);
    expect(asked.sort()).toEqual(['authority', 'features', 'online', 'scorer']);
  });
});

describe('stored candidates', () => {
  it('that are fresh take precedence over stale ones, even if the caller accepts stale ones', async () => {
    await world.run({ kind: 'all' });
    await world.change('10');
    expect(await short(['10'])).toEqual(['live context_newer 0.1']);
    expect(await short(['10'], maxStale)).toEqual(['live fresh 0.1']);
  });

  it('that are stale answer by the newest context if the caller accepts stale ones', async () => {
    await world.run({ kind: 'all' });
    await world.change('11');
    await short(['11']);
    await world.change('11');
    expect(await short(['11'], { ...maxStale, onlyIfCached: true })).toEqual(['stale context_newer 0.1']);
  });

  it('that Redis lost are found in Postgres’ rows, both of the generation and of the overlay', async () => {
    await world.run({ kind: 'all' });
    await world.change('12');
    await world.run({ kind: 'users', userIds: ['12'] });
    await world.loseKeys();
    expect(await short(['1', '12'], onlyIfCached)).toEqual(['batch fresh 0', 'batch fresh 0.1']);
  });

  it('are found in Postgres’ rows while Redis does not answer, and in Redis while the rows cannot be read', async () => {
    const away = () => Promise.reject(new Error('away'));
    read = world.createReader({ online: { ...world.online, find: away } });
    await world.run({ kind: 'all' });
    expect(await short(['16'], onlyIfCached)).toEqual(['batch fresh 0']);
    read = world.createReader({ offline: { find: away } });
    expect(await short(['16'], onlyIfCached)).toEqual(['batch fresh 0']);
    await world.run({ kind: 'all' });
    expect(await short(['16'], onlyIfCached)).toEqual(['batch fresh 0']);
  });

  it('are looked up in Postgres’ rows if nothing may be inferred, even if Redis still has an older one', async () => {
    await world.run({ kind: 'all' });
    await world.change('13');
    await world.run({ kind: 'users', userIds: ['13'] });
    expect(await world.loseKeys('o:')).toBeGreaterThan(0);
    expect(await short(['13'], onlyIfCached)).toEqual(['batch fresh 0.1']);
    await world.adoptWith({ live: false });
    expect(await short(['13'])).toEqual(['batch fresh 0.1']);
  });

  it('are missing if neither Redis nor Postgres’ rows can give them, and the user is inferred', async () => {
    await world.run({ kind: 'all' });
    await world.loseKeys();
    read = world.createReader({ offline: { find: () => Promise.reject(new Error('away')) } });
    expect(await short(['14'])).toEqual(['live missing 0']);
  });

  it('of a generation that was dropped after its certificate are missing, and the user is inferred', async () => {
    await world.run({ kind: 'all' });
    const { rows } = await world.pool.query<{ id: string }>(
      "select id from tandem.generations where state = 'published' order by number desc limit 1",
    );
    const partition = `tandem.generation_${rows[0]?.id.replaceAll('-', '')}`;
    const { authority, dropped } = droppingAfter(partition);
    read = world.createReader({ authority });
    expect(await short(['15'])).toEqual(['live missing 0']);
    expect(dropped()).toBe(true);
    await world.run({ kind: 'all' });
  });

  /** Returns an authority that drops the generation from both stores after it has certified and before it returns. */
  function droppingAfter(partition: string) {
    const real = world.authority;
    let isDropped = false;
    return {
      dropped: () => isDropped,
      authority: {
        async certify(userIds: readonly string[], ...predictors: readonly string[]) {
          const certificate = await real.certify(userIds, ...predictors);
          if (!isDropped) {
            await world.pool.query(`alter table tandem.predictions detach partition ${partition}`);
            await world.pool.query(`drop table ${partition}`);
            await world.loseKeys('g:');
            isDropped = true;
          }
          return certificate;
        },
      },
    };
  }
});

describe('the reason of a live answer', () => {
  it('is `expired` rather than `context_newer` if no event came since the newest stored answer', async () => {
    await world.run({ kind: 'all' });
    await world.change('20');
    await short(['20']);
    await world.adoptWith({ maxAgeMs: 0 });
    expect(await short(['20'])).toEqual(['live expired 0.1']);
  });

  it('is the failure if a demanded inference fails and a stored prediction is served instead', async () => {
    await world.run({ kind: 'all' });
    await world.change('59', 10);
    expect(await short(['59', '58'], { ...PLAIN_READ, noCache: true })).toEqual([
      'stale live_failed 0',
      'live requested 0',
    ]);
  });

  it('is `requested` if the caller does not accept a fresh answer: no-cache, max-age', async () => {
    await world.run({ kind: 'all' });
    expect(await short(['21'], { ...PLAIN_READ, noCache: true })).toEqual(['live requested 0']);
    await world.pool.query('select pg_sleep(0.005)');
    expect(await short(['22'], { ...PLAIN_READ, maxAge: 0 })).toEqual(['live requested 0']);
  });

  it('is `rolled_back` if only an answer from before the rollback is stored', async () => {
    await world.run({ kind: 'all' });
    await world.run({ kind: 'all' });
    await world.change('23');
    await short(['23']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    const generationless: StoredPredictions = {
      find: async (assignment, userIds): Promise<Candidates> => {
        const found = await world.online.find({ ...assignment, generation: null }, userIds);
        return found;
      },
    };
    read = world.createReader({ online: { ...world.online, find: generationless.find }, offline: generationless });
    expect(await short(['23'])).toEqual(['live rolled_back 0.1']);
  });
});

describe('an erased user', () => {
  it('is unknown, whatever is stored and whatever the caller demands', async () => {
    await world.run({ kind: 'all' });
    await short(['30'], { ...PLAIN_READ, noCache: true });
    await world.erase('30');
    for (const options of [PLAIN_READ, maxStale, onlyIfCached, { ...PLAIN_READ, noCache: true }])
      expect(await short(['30'], options)).toEqual(['unknown_user']);
  });

  it('is inferred again once readmitted: nothing from before the erasure is served, not even as stale', async () => {
    await world.run({ kind: 'all' });
    await short(['31'], { ...PLAIN_READ, noCache: true });
    await world.erase('31');
    await world.readmit('31');
    expect(await short(['31'], { ...maxStale, onlyIfCached: true })).toEqual(['not_cached']);
    expect(await short(['31'])).toEqual(['live missing 0']);
  });

  it('never shares an inference from before the erasure after readmission', async () => {
    await world.change('33');
    const gate = createGate();
    let statements = 0;
    const features = {
      ...world.features,
      async readUsers(...asked: Parameters<typeof world.features.readUsers>) {
        const found = await world.features.readUsers(...asked);
        if (++statements === 1) await gate.pass();
        return found;
      },
    };
    const live = createLivePredictor({
      ...{ ...world, scorer: world.inference, features },
      keepLater: () => {},
      keepNow: world.overlayRows.put,
    });
    const joined = Promise.withResolvers<void>();
    const predict: typeof live.predict = (request) => {
      const outcomes = live.predict(request);
      if (statements === 1) joined.resolve();
      return outcomes;
    };
    read = world.createReader({ live: { predict } });
    const before = read(PREDICTOR, ['33'], PLAIN_READ);
    await gate.arrived;
    await world.erase('33');
    await world.readmit('33');
    const after = read(PREDICTOR, ['33'], PLAIN_READ);
    await joined.promise;
    gate.open();
    expect((await before)[0]).toMatchObject({ predictedFromContextVersion: 1 });
    expect((await after)[0]).toMatchObject({ source: 'live', predictedFromContextVersion: 3 });
  });

  it('is unknown even if the erasure comes between certificate and features, and the row is deleted', async () => {
    await world.run({ kind: 'all' });
    await world.change('32');
    read = world.createReader(
      {},
      {
        features: {
          ...world.features,
          async readUsers(version, userIds) {
            await world.erase('32');
            await world.remove('32');
            return world.features.readUsers(version, userIds);
          },
        },
      },
    );
    expect(await short(['32'])).toEqual(['unknown_user']);
  });
});
