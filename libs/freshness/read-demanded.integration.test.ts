/** Reads after a demanded answer, which may have the label of a prediction that is fresh and that processes remember. */
import { rewriteContexts } from '@tandem/offline-store/events/pending-patterns';
import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPredictionMemory } from './prediction-memory.ts';
import { PLAIN_READ, type ReadOptions } from './read-options.ts';
import type { OnlinePredictions } from './stored-prediction.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
});
beforeEach(async () => {
  await world.pool.query('update counts set changes = 0');
  await world.run({ kind: 'all' });
});
afterAll(() => world?.close());

/** Creates a process with a memory, which records the users that it asks Redis for. */
function createProcess() {
  const asked: string[] = [];
  const online: OnlinePredictions = {
    serverId: world.online.serverId,
    toldOfErasures: world.online.toldOfErasures,
    toldOfWithdrawals: world.online.toldOfWithdrawals,
    find(assignment, userIds) {
      asked.push(...userIds);
      return world.online.find(assignment, userIds);
    },
  };
  const read = world.createReader({ online, memory: createPredictionMemory({ maxBytes: 1e6 }) });
  const short = async (userId: string, options: Partial<ReadOptions> = {}) =>
    inShort((await read(PREDICTOR, [userId], { ...PLAIN_READ, ...options }))[0]);
  return { asked, short };
}

/** Changes the user's row without an event. */
async function changeSilently(userId: string): Promise<void> {
  await world.pool.query('update counts set changes = 3 where user_id = $1', [userId]);
}

describe('after a demanded answer, a plain read of another process that remembers the earlier prediction', () => {
  it.each([
    ['no-cache', '1', { noCache: true }],
    ['max-age', '2', { maxAge: 0 }],
  ] as const)('gives that answer (%s)', async (_, userId, options) => {
    const [one, other] = [createProcess(), createProcess()];
    expect(await other.short(userId)).toBe('batch fresh 0');
    await changeSilently(userId);
    expect(await one.short(userId, options)).toBe('live requested 0.3');
    for (const process of [one, other]) expect(await process.short(userId)).toBe('live fresh 0.3');
  });

  it('gives that answer from Postgres if Redis has lost it', async () => {
    const [one, other] = [createProcess(), createProcess()];
    await other.short('3');
    await changeSilently('3');
    await one.short('3', { noCache: true });
    await world.loseKeys('o:');
    expect(await other.short('3')).toBe('live fresh 0.3');
  });

  it('infers if Redis and Postgres have lost that answer, and does not say that its caller requested it', async () => {
    const [one, other] = [createProcess(), createProcess()];
    await other.short('11');
    await changeSilently('11');
    await one.short('11', { noCache: true });
    await world.loseKeys('o:');
    await world.pool.query(`delete from tandem.overlay where user_id = '11'`);
    expect(await other.short('11')).toBe('live missing 0.3');
  });

  it('gives the prediction of a later run', async () => {
    const [one, other] = [createProcess(), createProcess()];
    await changeSilently('4');
    await one.short('4', { noCache: true });
    await world.pool.query('update counts set changes = 5 where user_id = 4');
    await world.run({ kind: 'all' });
    expect(await other.short('4')).toBe('batch fresh 0.5');
    other.asked.length = 0;
    expect(await other.short('4')).toBe('batch fresh 0.5');
    expect(other.asked).toEqual([]);
  });

  it('is given while another transaction holds the user’s context', async () => {
    const client = await world.pool.connect();
    await client.query('begin');
    const event = `insert into tandem.events (id, source, type, user_id) values ('v9', 'test', 'page.viewed', '9')`;
    await client.query(event);
    await changeSilently('9');
    expect(await createProcess().short('9', { noCache: true })).toBe('live requested 0.3');
    await client.query('rollback');
    client.release();
  });

  it('gives the earlier prediction if Postgres could not store that answer, which then says so', async () => {
    const other = createProcess();
    await other.short('10');
    await changeSilently('10');
    const keepNow = () => Promise.reject(new Error('the disk is full'));
    const read = world.createReader({}, { keepNow });
    const [answer] = await read(PREDICTOR, ['10'], { ...PLAIN_READ, noCache: true });
    expect(answer).toMatchObject({ source: 'live', kept: false });
    for (const process of [other, createProcess()]) expect(await process.short('10')).toBe('batch fresh 0');
  });

  it('does not ask Redis for other users', async () => {
    const [one, other] = [createProcess(), createProcess()];
    await other.short('6');
    await one.short('5', { noCache: true });
    other.asked.length = 0;
    expect(await other.short('6')).toBe('batch fresh 0');
    expect(other.asked).toEqual([]);
  });
});

it('after a run of named users, reads give its predictions, although the contexts are those of before', async () => {
  const process = createProcess();
  expect(await process.short('7')).toBe('batch fresh 0');
  await changeSilently('7');
  await world.run({ kind: 'users', userIds: ['7'] });
  expect(await process.short('7')).toBe('batch fresh 0.3');
  await world.loseKeys('o:');
  expect(await process.short('7')).toBe('batch fresh 0.3');
});

it('an answer to a token from after an event of another predictor is not followed by an older one', async () => {
  await world.adoptWith({ events: ['order.*'] });
  await rewriteContexts(world.pool);
  await world.run({ kind: 'all' });
  const [one, other] = [createProcess(), createProcess()];
  await other.short('8');
  await changeSilently('8');
  await world.pool.query(
    `insert into tandem.events (id, source, type, user_id) values ('v8', 'test', 'page.viewed', '8')`,
  );
  const { history } = await world.authority.certify([]);
  expect(await one.short('8', { minContext: { history, version: 1 } })).toBe('live requested 0.3');
  expect(await other.short('8')).toBe('live fresh 0.3');
  await world.adoptWith();
});
