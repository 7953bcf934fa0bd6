import { createEraseUser } from '@tandem/prediction/erasure/erase-user';
import { contextToken } from '@tandem/prediction/events/events';
import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ToldCount } from './certificate.ts';
import { NO_MEMORY } from './prediction-memory.ts';
import type { Predictor } from './predictor.ts';
import { assertProtocol, PROTOCOL } from './protocol.ts';
import { PLAIN_READ } from './read-options.ts';
import type { PredictionReader } from './reader.ts';

let world: PredictionWorld;
let read: PredictionReader;
let isAway: boolean;
/** The number of the protocol that each certificate states. */
let protocol: number;
let serverId: string | null;
/** Runs after Postgres has answered, before the reader receives the answer. */
let whenCertified: () => void | Promise<void>;
let inMemory: Predictor | undefined;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 20 });
  await world.run({ kind: 'all' });
});
beforeEach(async () => {
  await world.adoptWith();
  isAway = false;
  protocol = PROTOCOL;
  serverId = 'one';
  whenCertified = () => {};
  read = createProcess();
});
afterAll(() => world?.close());

function onThisServer(told: ToldCount | null): ToldCount | null {
  return told && serverId !== null ? { ...told, serverId } : null;
}

/** Returns the reader of one process, with separate knowledge of Postgres. */
function createProcess(): PredictionReader {
  const { authority, features, registry } = world;
  const unlessAway = <T>(ask: () => Promise<T>) => (isAway ? Promise.reject(new Error('away')) : ask());
  return world.createReader(
    {
      registry: {
        ...registry,
        // While Postgres is unreachable, the registry returns the last known predictor.
        async predictor(name) {
          if (!isAway) inMemory = (await registry.predictor(name)) ?? inMemory;
          return inMemory;
        },
      },
      authority: {
        async certify(userIds, ...predictors) {
          const certificate = await unlessAway(() => authority.certify(userIds, ...predictors));
          await whenCertified();
          assertProtocol(protocol);
          return certificate;
        },
      },
      online: {
        ...world.online,
        serverId: () => serverId,
        toldOfErasures: async () => onThisServer(await world.online.toldOfErasures()),
        toldOfWithdrawals: async () => onThisServer(await world.online.toldOfWithdrawals()),
      },
    },
    { features: { ...features, readUsers: (...asked) => unlessAway(() => features.readUsers(...asked)) } },
  );
}

const short = async (userIds: readonly string[], options = PLAIN_READ) =>
  (await read(PREDICTOR, userIds, options)).map(inShort);

/** Lets Postgres answer this process once, and then makes it unreachable. */
async function loseSight(userIds: readonly string[] = ['1']): Promise<void> {
  await short(userIds);
  isAway = true;
}

/** Delivers two certificates in the wrong order: first one from after the change, then one from before it. */
async function overtaken(change: () => Promise<unknown>): Promise<void> {
  const held = Promise.withResolvers<void>();
  const certified = Promise.withResolvers<void>();
  whenCertified = () => {
    certified.resolve();
    return held.promise;
  };
  const late = short(['1']);
  await certified.promise;
  whenCertified = () => {};
  await change();
  await short(['1']).catch(() => undefined);
  held.resolve();
  await late;
}

describe('while Postgres does not answer', () => {
  it('a stored answer is served as stale and unverified; a user without one gets an error with a retry time', async () => {
    await loseSight();
    expect(await short(['1', '9999', '2'])).toEqual(['stale unverified 0', 'unavailable', 'stale unverified 0']);
    expect((await read(PREDICTOR, ['1'], PLAIN_READ))[0]).toMatchObject({
      contextVersion: null,
      lastConcerningVersion: null,
      history: null,
      hit: true,
      predictedFromContextVersion: 0,
    });
  });

  it('a process that Postgres has never answered serves nothing', async () => {
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing is served after a certificate of an unknown protocol, until a certificate of the known protocol', async () => {
    await short(['1']);
    protocol = PROTOCOL + 1;
    expect(await short(['1'])).toEqual(['protocol_unknown']);
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
    isAway = false;
    protocol = PROTOCOL;
    await loseSight();
    expect(await short(['1'])).toEqual(['stale unverified 0']);
  });

  it('a caller that demands an inference or a context gets an error', async () => {
    await loseSight();
    expect(await short(['1'], { ...PLAIN_READ, noCache: true })).toEqual(['unavailable']);
    const minContext = { history: '0'.repeat(16), version: 0 };
    expect(contextToken(minContext.history, 0)).toMatch(/\.0$/);
    expect(await short(['1'], { ...PLAIN_READ, minContext })).toEqual(['unavailable']);
  });

  it('nothing is served if the predictor forbids it', async () => {
    await world.adoptWith({ unverified: false });
    await loseSight();
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing is served from a Redis server other than at the last certificate, until Postgres answers again', async () => {
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

  it('nothing is served from a Redis server that appeared during the certificate: its copy may be older', async () => {
    whenCertified = () => {
      serverId = 'two';
    };
    await loseSight();
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing is served that a rollback known to this process has made invalid', async () => {
    await world.run({ kind: 'all' });
    await world.change('3');
    expect(await short(['3'])).toEqual(['live context_newer 0.1']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    await loseSight();
    expect(await short(['3'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served that a rollback has withdrawn since this process last read', async () => {
    await world.run({ kind: 'all' });
    await loseSight();
    expect(await short(['1'])).toEqual(['stale unverified 0']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    expect(await short(['1'])).toEqual(['unavailable']);
    isAway = false;
    await loseSight();
    expect(await short(['1'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served that was withdrawn before the last certificate, if Redis is back with the count of before', async () => {
    await short(['1']);
    // A certificate that the reader gets for another predictor has the count of the withdrawal, and sees that server.
    const putBack = await world.snapshot();
    await world.run({ kind: 'all' });
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    await putBack();
    await read('another', ['1'], PLAIN_READ).catch(() => undefined);
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('the generation before a publication is still served, since nothing was withdrawn', async () => {
    await loseSight();
    await world.run({ kind: 'all' });
    expect(await short(['1'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served from a Redis that lost its count of withdrawals, until a worker writes the count again', async () => {
    await loseSight();
    await world.loseKeys('{withdrawals}');
    expect(await short(['1'])).toEqual(['unavailable']);
    await world.keepWithdrawals();
    expect(await short(['1'])).toEqual(['stale unverified 0']);
  });

  it('an overtaken certificate does not make predictions valid again that a rollback has made invalid', async () => {
    await world.run({ kind: 'all' });
    await world.change('18');
    expect(await short(['18'])).toEqual(['live context_newer 0.1']);
    await overtaken(() => world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' }));
    isAway = true;
    expect(await short(['18'])).toEqual(['stale unverified 0']);
  });

  it('an overtaken certificate does not restore a withdrawn predictor', async () => {
    await short(['1']);
    await overtaken(() => world.pool.query('update tandem.predictors set active = false'));
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });

  it('nothing from another history is served, if this process knows the current history', async () => {
    await world.change('4');
    expect(await short(['4'])).toEqual(['live context_newer 0.1']);
    await world.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    await loseSight();
    // Redis has the count of the other history until a worker writes the count of this one.
    expect(await short(['4'])).toEqual(['unavailable']);
    await Promise.all([world.keepErased.round(), world.keepWithdrawals()]);
    expect(await short(['4'])).toEqual(['stale unverified 0']);
  });

  it('nothing is served of a predictor that was withdrawn earlier', async () => {
    await short(['1']);
    expect(await short(['1'])).toEqual(['batch fresh 0']);
    await world.pool.query('update tandem.predictors set active = false');
    await expect(short(['1'])).rejects.toMatchObject({ code: 'unknown_predictor' });
    isAway = true;
    expect(await short(['1'])).toEqual(['unavailable']);
  });
});

describe('erased users while Postgres does not answer', () => {
  const eraseUser = (userId: string) =>
    createEraseUser({ store: world.erasures, online: world.onlineErasures, memory: NO_MEMORY })(userId);
  /** Writes what a concurrent load or live answer would write after the erasure's deletes. */
  const arriveLate = async (userId: string) => {
    const [generation] = await world.generations.inForce();
    const outputs = Buffer.alloc(4);
    if (!generation) throw new Error('no current generation');
    await world.loader.loadRows(generation, [{ userId, contextVersion: 0, computedAt: Date.now(), outputs }]);
  };

  it('a process that knows the erasure serves nothing of the user, although Redis has an entry again', async () => {
    await short(['5', '6']);
    await eraseUser('5');
    await loseSight(['6']);
    await arriveLate('5');
    expect(await short(['5', '6'])).toEqual(['unavailable', 'stale unverified 0']);
  });

  it('after an erasure, a process serves nothing until its next certificate names the erased users', async () => {
    const other = createProcess();
    const ask = async () => (await other(PREDICTOR, ['7', '8'], PLAIN_READ)).map(inShort);
    expect(await ask()).toEqual(['batch fresh 0', 'batch fresh 0']);
    isAway = true;
    expect(await ask()).toEqual(['stale unverified 0', 'stale unverified 0']);
    await eraseUser('7');
    await arriveLate('7');
    expect(await ask()).toEqual(['unavailable', 'unavailable']);
    isAway = false;
    expect(await ask()).toEqual(['unknown_user', 'batch fresh 0']);
    isAway = true;
    expect(await ask()).toEqual(['unavailable', 'stale unverified 0']);
  });

  it('nothing is served from a Redis that returned with an old copy, whatever this process knows', async () => {
    await loseSight(['9']);
    const putBack = await world.snapshot();
    await eraseUser('9');
    await putBack();
    // With the same run ID, Redis would have the old count, and this process does not know the erasure either.
    serverId = 'restarted';
    expect(await short(['9'])).toEqual(['unavailable']);
    isAway = false;
    await loseSight(['10']);
    expect(await short(['9', '10'])).toEqual(['unavailable', 'unavailable']);
    await world.keepErased.round();
    expect(await short(['9', '10'])).toEqual(['unavailable', 'stale unverified 0']);
  });

  it('nothing is served from a Redis that lost its count of erasures, until a worker writes the count again', async () => {
    await loseSight(['11']);
    await world.loseKeys('{erasures}');
    expect(await short(['11'])).toEqual(['unavailable']);
    await world.keepErased.round();
    expect(await short(['11'])).toEqual(['stale unverified 0']);
  });

  it('a readmitted user is served only predictions that were computed after the readmission', async () => {
    await eraseUser('12');
    await world.erasures.readmit('12');
    await arriveLate('12');
    expect(await short(['12'])).toEqual(['live missing 0']);
    isAway = true;
    expect(await short(['12'])).toEqual(['stale unverified 0']);
    expect((await read(PREDICTOR, ['12'], PLAIN_READ))[0]).toMatchObject({ predictedFromContextVersion: 2 });
    await world.loseKeys('o:');
    expect(await short(['12'])).toEqual(['unavailable']);
  });
});
