/** Reads after the values of a context were dropped by age: a prediction of the values is not fresh any longer. */
import { rewriteContexts } from '@tandem/offline-store/events/pending-patterns';
import { expireRows } from '@tandem/offline-store/store.fixture';
import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPredictionMemory } from './prediction-memory.ts';
import { PLAIN_READ } from './read-options.ts';

const YEAR_MS = 365 * 86_400_000;
let world: PredictionWorld;
let user = 0;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
  await world.pool.query(`update tandem.settings set context_horizon = '31 days'`);
});
afterAll(() => world?.close());

/** Serves values of events, which concern the predictor if their type matches the patterns. */
const adoptWith = (...events: string[]) => world.adoptWith({ events }, {}, { overlayForMs: YEAR_MS });
const send = (type: string, data: object | null = null) =>
  world.pool.query('insert into tandem.events (type, user_id, data) values ($1, $2, $3)', [type, String(user), data]);
/** Lets 32 days pass since the user's last event. */
const age = () =>
  world.pool.query(`update tandem.user_contexts set updated_at = updated_at - interval '32 days' where user_id = $1`, [
    String(user),
  ]);

const arePending = async () =>
  (await world.pool.query('select from tandem.predictors where patterns_pending')).rowCount === 1;

function createProcess() {
  const read = world.createReader({ memory: createPredictionMemory({ maxBytes: 1e6 }) });
  return { read: async () => inShort((await read(PREDICTOR, [String(user)], PLAIN_READ))[0]) };
}

/** Returns a process that remembers a prediction of the value 5; the row of the feature query has 0. */
async function createRemembering() {
  const process = createProcess();
  expect(await process.read()).toBe('batch fresh 0.5');
  return process;
}

describe('after the values of a context were dropped, a prediction of them', () => {
  beforeEach(async () => {
    user++;
    await adoptWith('order.*');
    while (await arePending()) await rewriteContexts(world.pool);
    await send('order.placed', { changes: 5 });
    await world.run({ kind: 'all' });
  });

  it.each(['memory', 'Redis', 'Postgres'])('is not fresh in %s', async (store) => {
    const remembering = await createRemembering();
    await age();
    expect(await expireRows(world.pool)).toBe(1);
    if (store === 'Postgres') await world.loseKeys();
    const process = store === 'memory' ? remembering : createProcess();
    expect(await process.read()).toBe('live context_newer 0');
    expect(await process.read()).toBe('live fresh 0');
  });

  it('is not fresh after a later event that does not concern the predictor', async () => {
    const process = await createRemembering();
    await age();
    await expireRows(world.pool);
    await send('page.viewed');
    expect(await process.read()).toBe('live context_newer 0');
    expect(await process.read()).toBe('live fresh 0');
  });

  it.each(['while event patterns are pending', 'after the rewrite of pending patterns'])(
    'is not fresh %s',
    async (when) => {
      const process = await createRemembering();
      await adoptWith('order.*', 'page.*');
      await age();
      await expireRows(world.pool);
      if (when.startsWith('after')) while (await arePending()) await rewriteContexts(world.pool);
      expect(await arePending()).toBe(when.startsWith('while'));
      expect(await process.read()).toBe('live context_newer 0');
    },
  );

  it('is replaced by the next run of stale users', async () => {
    const process = await createRemembering();
    await age();
    await expireRows(world.pool);
    await world.run({ kind: 'stale' });
    for (const reader of [process, createProcess()]) expect(await reader.read()).toBe('batch fresh 0');
  });

  it('would be called fresh if the row were deleted: the version starts again at the label (negative control)', async () => {
    const process = await createRemembering();
    await world.pool.query('delete from tandem.user_contexts where user_id = $1', [String(user)]);
    await send('order.placed');
    for (const reader of [process, createProcess()]) expect(await reader.read()).toBe('batch fresh 0.5');
  });
});
