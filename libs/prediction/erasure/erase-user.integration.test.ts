/**
 * Erasure during concurrent work: chunks, loads, live answers. Nothing from before the erasure is served, and in the
 * end nothing of it is stored.
 */

import { createPredictionMemory } from '@tandem/freshness/prediction-memory';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createServerConnection } from '@tandem/online-store/connection';
import { createErasures } from '@tandem/online-store/erasures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '../prediction-world.fixture.ts';
import { createEraseUser, type EraseUser } from './erase-user.ts';
import { createStoredOfUser, type StoredOfUser } from './stored-of-user.fixture.ts';

let world: PredictionWorld;
let erase: EraseUser;
let stored: StoredOfUser;
const memory = createPredictionMemory({ maxBytes: 1e6 });
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
  erase = createEraseUser({ store: world.erasures, online: world.onlineErasures, memory });
  stored = createStoredOfUser(world);
  await world.run({ kind: 'all' });
});
afterAll(() => world?.close());

const NOTHING = { rows: 0, fields: 0, entries: 0 };
/** Returns the records of a user without events: one in each generation. */
const untouched = () => stored('40');

async function read(userId: string): Promise<string> {
  return inShort((await world.createReader({ memory })(PREDICTOR, [userId], PLAIN_READ))[0]);
}

/** Makes all scheduled sweeps due, and runs a round. */
async function sweep(): Promise<number> {
  await world.pool.query('update tandem.erasures set sweep_at = now() where sweep_at is not null');
  return world.keepErased.round();
}

describe('an erased user', () => {
  it('is deleted from both stores and from memory; the receipt has the counts, which are zero for a second call', async () => {
    await world.change('1');
    expect(await read('1')).toBe('live context_newer 0.1');
    expect(await read('2')).toBe('batch fresh 0');
    await expect.poll(() => stored('1')).toEqual({ rows: 2, fields: 1, entries: 1 });
    const receipt = await erase('1');
    expect(receipt).toMatchObject({
      tombstone: { userId: '1', version: 2 },
      postgres: { predictions: 1, overlayEntries: 1, contextValues: 0 },
      redis: { predictions: 1, overlayEntries: 1 },
    });
    expect(await stored('1')).toEqual(NOTHING);
    expect(await read('1')).toBe('unknown_user');
    const again = await erase('1');
    expect(again.tombstone).toEqual(receipt.tombstone);
    expect(again).toMatchObject({
      postgres: { predictions: 0, overlayEntries: 0 },
      redis: { predictions: 0, overlayEntries: 0 },
    });
    expect(await stored('2')).toEqual({ rows: 1, fields: 1, entries: 0 });
    await erase('2');
    expect(memory.size()).toBe(0);
  });

  it('is served again after readmission, from predictions computed since', async () => {
    await erase('3');
    await world.erasures.readmit('3');
    expect(await read('3')).toBe('live missing 0');
    expect(await read('3')).toBe('live fresh 0');
  });

  it('is deleted from Redis again if a restore lost the readmission, even after the sweeps have ended', async () => {
    await erase('6');
    await world.pool.query('update tandem.erasures set sweeps = 4, sweep_at = null');
    await world.erasures.readmit('6');
    expect(await read('6')).toBe('live missing 0');
    await expect.poll(() => stored('6')).toEqual({ rows: 1, fields: 0, entries: 1 });
    // The state after a restore: Postgres is as it was before the readmission, and Redis is unchanged.
    await world.pool.query(`update tandem.user_contexts set version = deleted_version where user_id = '6';
      delete from tandem.overlay where user_id = '6';
      update tandem.history_rotation set rotation = gen_random_uuid()`);
    expect(await read('6')).toBe('unknown_user');
    await world.keepErased.round();
    await sweep();
    expect(await stored('6')).toEqual(NOTHING);
  });

  it('keeps predictions stored since a readmission, even if the deletes are repeated later', async () => {
    await erase('5');
    await world.erasures.readmit('5');
    expect(await read('5')).toBe('live missing 0');
    await expect.poll(() => stored('5')).toEqual({ rows: 1, fields: 0, entries: 1 });
    expect(await sweep()).toBeGreaterThan(0);
    expect(await stored('5')).toEqual({ rows: 1, fields: 0, entries: 1 });
  });

  it('gets a tombstone even without records', async () => {
    expect(await erase('777')).toMatchObject({ tombstone: { version: 1 }, redis: { predictions: 0 } });
    await world.change('777');
    expect(await read('777')).toBe('unknown_user');
  });

  it('is removed from a generation’s count of users, so that the loader finds the generation complete', async () => {
    const [before] = await world.generations.inForce();
    await erase('4');
    const [after] = await world.generations.inForce();
    expect((before?.users ?? 0) - (after?.users ?? 0)).toBe(1);
    expect(after && (await world.loader.completeLoad(after, after.users))).toBe(true);
  });
});

describe('work in progress during an erasure', () => {
  it('a chunk that commits before the erasure and loads after it: publication deletes the user from Postgres, a sweep from Redis', async () => {
    const committedBefore: typeof world.runs = {
      ...world.runs,
      async commit(...asked) {
        const outcome = await world.runs.commit(...asked);
        if (asked[1].no === 0) await erase('11');
        return outcome;
      },
    };
    await world.run({ kind: 'all' }, { runs: committedBefore });
    expect(await stored('11')).toEqual({ rows: 0, fields: 1, entries: 0 });
    expect(await read('11')).toBe('unknown_user');
    expect(await sweep()).toBeGreaterThan(0);
    expect(await stored('11')).toEqual(NOTHING);
    await world.erasures.readmit('11');
    expect(await read('11')).toBe('live missing 0');
  });

  it('a chunk of a partial run that commits and loads after the tombstone: a sweep deletes its entry', async () => {
    const runs: typeof world.runs = {
      ...world.runs,
      async commit(run, chunk, result) {
        // The same state as if the tombstone was committed after the chunk's check and before its commit.
        const outcome = await world.runs.commit(run, chunk, result);
        await world.erase('12');
        return outcome;
      },
    };
    await world.change('12');
    await world.run({ kind: 'users', userIds: ['12'] }, { runs });
    expect(await stored('12')).toMatchObject({ rows: (await untouched()).rows + 1, entries: 1 });
    await world.onlineErasures.tell((await world.erasures.setTombstone('12')).tombstone);
    expect(await read('12')).toBe('unknown_user');
    await sweep();
    expect(await stored('12')).toEqual(NOTHING);
  });

  it('a live answer after the erasure: Redis rejects it, and a sweep deletes it from Postgres', async () => {
    await world.change('13');
    const gate = createGate();
    const reader = world.createReader(
      {},
      {
        scorer: {
          score: async (...asked) => {
            await gate.pass();
            return world.inference.score(...asked);
          },
        },
      },
    );
    const reading = reader(PREDICTOR, ['13'], PLAIN_READ);
    await gate.arrived;
    await erase('13');
    gate.open();
    // The read arrived before the erasure was acknowledged.
    expect(inShort((await reading)[0])).toBe('live context_newer 0.1');
    expect(inShort((await reader(PREDICTOR, ['13'], PLAIN_READ))[0])).toBe('unknown_user');
    await expect.poll(() => stored('13')).toEqual({ rows: 1, fields: 0, entries: 0 });
    await sweep();
    expect(await stored('13')).toEqual(NOTHING);
  });

  it('a readmitted user shares no flight that was completed before the erasure', async () => {
    await world.change('14');
    const reader = world.createReader();
    expect(inShort((await reader(PREDICTOR, ['14'], PLAIN_READ))[0])).toBe('live context_newer 0.1');
    await erase('14');
    await world.erasures.readmit('14');
    await world.pool.query('update counts set changes = 5 where user_id = 14');
    expect(inShort((await reader(PREDICTOR, ['14'], PLAIN_READ))[0])).toBe('live missing 0.5');
  });
});

describe('an interrupted erasure', () => {
  it('sets the tombstone and says what Postgres deleted if Redis does not answer; a repetition returns the receipt of the rest', async () => {
    const connection = createServerConnection({ url: 'redis://127.0.0.1:1', log: () => {} });
    const online = createErasures({ connection });
    const { rows, fields } = await untouched();
    await expect(createEraseUser({ store: world.erasures, online, memory })('21')).rejects.toMatchObject({
      code: 'unavailable',
      retryAfter: 1,
      message: `The user is erased, but Redis did not confirm its deletes. Deleted in Postgres: predictions ${rows}.`,
      remedy: expect.stringContaining('the receipt of the retry counts only what was still left to delete'),
    });
    connection.close();
    expect(await read('21')).toBe('unknown_user');
    expect(await stored('21')).toEqual({ rows: 0, fields, entries: 0 });
    expect(await erase('21')).toMatchObject({
      tombstone: { version: 1 },
      postgres: { predictions: 0 },
      redis: { predictions: fields },
    });
    expect(await stored('21')).toEqual(NOTHING);
  });

  it('is completed by a worker if the erasing process dies, and Redis’ count is updated', async () => {
    const before = (await world.onlineErasures.told())?.count ?? 0;
    await world.erase('22');
    expect(await stored('22')).toEqual(await untouched());
    await sweep();
    expect(await stored('22')).toEqual(NOTHING);
    expect(await world.onlineErasures.told()).toMatchObject({ count: before + 1 });
  });
});
