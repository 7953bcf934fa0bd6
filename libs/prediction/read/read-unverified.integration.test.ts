import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { contextToken } from '../events/events.ts';
import { createPredictionWorld, inShort, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import type { Predictor } from '../predictor.ts';
import { PLAIN_READ } from './read-options.ts';
import type { PredictionReader } from './read-prediction.ts';

let world: PredictionWorld;
let read: PredictionReader;
let isAway: boolean;
let serverId: string | null;
let inMemory: Predictor | undefined;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 20 });
  await world.run({ kind: 'all' });
});
beforeEach(async () => {
  await world.adoptWith();
  isAway = false;
  serverId = 'one';
  const { authority, features, registry } = world;
  const unlessAway = <T>(ask: () => Promise<T>) => (isAway ? Promise.reject(new Error('away')) : ask());
  read = world.createReader(
    {
      registry: {
        ...registry,
        // While Postgres is away it knows what it knew.
        async predictor(name) {
          if (!isAway) inMemory = (await registry.predictor(name)) ?? inMemory;
          return inMemory;
        },
      },
      authority: { certify: (userIds) => unlessAway(() => authority.certify(userIds)) },
      online: { ...world.online, serverId: () => serverId },
    },
    { features: { ...features, readUsers: (...asked) => unlessAway(() => features.readUsers(...asked)) } },
  );
});
afterAll(() => world?.close());

const short = async (userIds: readonly string[], options = PLAIN_READ) =>
  (await read(PREDICTOR, userIds, options)).map(inShort);

/** Postgres has answered this process once, and then no more. */
async function loseSight(userIds: readonly string[] = ['1']): Promise<void> {
  await short(userIds);
  isAway = true;
}

describe('while Postgres does not answer', () => {
  it('a stored answer is served as stale and unverified, and who has none is told to come again', async () => {
    await loseSight();
    expect(await short(['1', '9999', '2'])).toEqual(['stale unverified 0', 'unavailable', 'stale unverified 0']);
    expect((await read(PREDICTOR, ['1'], PLAIN_READ))[0]).toMatchObject({
      contextVersion: null,
      history: null,
      hit: true,
      predictedFromContextVersion: 0,
    });
  });

  it('nothing is served by a process that has never heard from it', async () => {
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing is served to a caller that demands more than what is stored: no-cache, a context', async () => {
    await loseSight();
    expect(await short(['1'], { ...PLAIN_READ, noCache: true })).toEqual(['unavailable']);
    const minContext = { history: '0'.repeat(16), version: 0 };
    expect(contextToken(minContext.history, 0)).toMatch(/\.0$/);
    expect(await short(['1'], { ...PLAIN_READ, minContext })).toEqual(['unavailable']);
  });

  it('nothing is served where the predictor forbids it', async () => {
    await world.adoptWith({ unverified: false });
    await loseSight();
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing is served from another Redis server than the one last seen beside it, until it answers again', async () => {
    await loseSight();
    serverId = 'two';
    expect(await short(['1'])).toEqual(['unavailable']);
    serverId = null;
    expect(await short(['1'])).toEqual(['unavailable']);
    serverId = 'one';
    expect(await short(['1'])).toEqual(['stale unverified 0']);
    isAway = false;
    serverId = 'two';
    await loseSight();
    expect(await short(['1'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served from Redis that a rollback has made void, as far as this process has heard', async () => {
    await world.run({ kind: 'all' });
    await world.change('3');
    expect(await short(['3'])).toEqual(['live context_newer 0.1']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    await loseSight();
    expect(await short(['3'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served from Redis that is of another history, as far as this process has heard', async () => {
    await world.change('4');
    expect(await short(['4'])).toEqual(['live context_newer 0.1']);
    await world.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    await loseSight();
    expect(await short(['4'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served of a predictor that was withdrawn before', async () => {
    await short(['1']);
    expect(await short(['1'])).toEqual(['batch fresh 0']);
    await world.pool.query('update tandem.predictors set active = false');
    await expect(short(['1'])).rejects.toMatchObject({ code: 'unknown_predictor' });
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });
});
