/**
 * Reads with predictions in memory. The last tests check the tests themselves: the same steps detect a reader that
 * trusts its memory without a certificate, and a reader that ignores the certificate.
 */

import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Certificate } from './certificate.ts';
import { createPredictionMemory, type PredictionMemory } from './prediction-memory.ts';
import { PLAIN_READ, type ReadOptions } from './read-options.ts';
import type { PredictionReader, PredictionReaderDependencies } from './reader.ts';
import type { OnlinePredictions } from './stored-prediction.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
});
beforeEach(() => world.adoptWith());
afterAll(() => world?.close());

/** A reader with a memory, and the users that it asked Redis for. */
function createReader(parts: Partial<PredictionReaderDependencies> = {}) {
  const asked: string[] = [];
  const online: OnlinePredictions = {
    serverId: () => world.online.serverId(),
    toldOfErasures: () => world.online.toldOfErasures(),
    toldOfWithdrawals: () => world.online.toldOfWithdrawals(),
    find(assignment, userIds) {
      asked.push(...userIds);
      return world.online.find(assignment, userIds);
    },
  };
  const memory = createPredictionMemory({ maxBytes: 1e6 });
  const read = world.createReader({ online, memory, ...parts });
  const short = async (userIds: readonly string[], options: Partial<ReadOptions> = {}) =>
    (await read(PREDICTOR, userIds, { ...PLAIN_READ, ...options })).map(inShort);
  return { asked, memory, read, short };
}

describe('a prediction in memory', () => {
  it('gives the same answer as Redis, and the reader asks Redis only for the other users', async () => {
    await world.run({ kind: 'all' });
    const { asked, read, short } = createReader();
    await short(['1', '2']);
    const [fromRedis] = await read(PREDICTOR, ['3'], PLAIN_READ);
    asked.length = 0;
    expect(await short(['1', '2', '3', '4', '1'])).toEqual(Array(5).fill('batch fresh 0'));
    expect(asked).toEqual(['4']);
    const [fromMemory] = await read(PREDICTOR, ['3'], PLAIN_READ);
    const { remembered, ageSeconds, ...answer } = fromMemory as Exclude<typeof fromMemory, Error | undefined>;
    expect(remembered).toBeDefined();
    expect(ageSeconds).toBeGreaterThanOrEqual(0);
    expect(fromRedis).toMatchObject(answer);
  });

  it('answers a large read, which adds no others', async () => {
    await world.run({ kind: 'all' });
    const { asked, memory, short } = createReader();
    await short(['1']);
    asked.length = 0;
    const many = Array.from({ length: 101 }, (_, i) => String(i + 1));
    expect((await short(many)).slice(0, 40)).toEqual(Array(40).fill('batch fresh 0'));
    expect(asked).not.toContain('1');
    expect(memory.size()).toBe(1);
  });

  it('is not served after an event, nor if a newer answer was stored since', async () => {
    await world.run({ kind: 'all' });
    const { short } = createReader();
    await short(['5', '6']);
    await world.change('5');
    expect(await short(['5', '6'], { maxStale: 60 })).toEqual(['stale context_newer 0', 'batch fresh 0']);
    expect(await short(['5', '6'])).toEqual(['live context_newer 0.1', 'batch fresh 0']);
    expect(await short(['5'])).toEqual(['live fresh 0.1']);
    // The overlay has the fresh answer, so it is served even to a caller that accepts a stale one.
    expect(await short(['5'], { maxStale: 60 })).toEqual(['live fresh 0.1']);
  });

  it('of an erased user is never served, even after readmission, and is removed', async () => {
    await world.run({ kind: 'all' });
    const { memory, short } = createReader();
    await short(['7']);
    const { generation } = (await world.authority.certify([])).assignments(PREDICTOR)?.stable ?? {};
    expect(memory.find(generation?.id ?? '', '7')).toBeDefined();
    await world.erase('7');
    expect(await short(['7'], { maxStale: 60 })).toEqual(['unknown_user']);
    expect(memory.find(generation?.id ?? '', '7')).toBeUndefined();
    await world.readmit('7');
    expect(await short(['7'], { maxStale: 60 })).toEqual(['live missing 0']);
  });

  it('is not served after another generation is published, and answers again after a rollback', async () => {
    await world.run({ kind: 'all' });
    const { short } = createReader();
    await short(['8']);
    await world.change('8');
    await world.run({ kind: 'all' });
    expect(await short(['8'])).toEqual(['batch fresh 0.1']);
    await short(['9']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' });
    expect(await short(['8', '9'])).toEqual(['live context_newer 0.1', 'batch fresh 0']);
  });

  it('does not answer a caller that demands an inference, and is not used while Postgres does not answer', async () => {
    await world.run({ kind: 'all' });
    await world.keepErased.round();
    let isDown = false;
    const { asked, short } = createReader({
      authority: {
        certify: (...asked) => (isDown ? Promise.reject(new Error('down')) : world.authority.certify(...asked)),
      },
    });
    await short(['10', '11']);
    expect(await short(['10'], { noCache: true })).toEqual(['live requested 0']);
    isDown = true;
    asked.length = 0;
    expect(await short(['10', '11'])).toEqual(['stale unverified 0', 'stale unverified 0']);
    expect(asked).toEqual(['10', '11']);
    // The count of erasures stays in Redis: without it nothing would be served.
    for (const layer of ['g:', 'o:']) await world.loseKeys(layer);
    expect(await short(['10', '11'])).toEqual(['unavailable', 'unavailable']);
  });
});

describe('a reader that remembers predictions', () => {
  /**
   * Returns whether a read after an acknowledged event serves a prediction from before the event as fresh, which no
   * correct reader does.
   */
  async function isCaught(read: PredictionReader, userId: string): Promise<boolean> {
    const short = async () => inShort((await read(PREDICTOR, [userId], PLAIN_READ))[0]);
    await short();
    await world.change(userId);
    return (await short()) === 'batch fresh 0';
  }

  it.each([
    ['passes if it judges them under a new certificate', (one: Certificate) => one, '20', false],
    ['is detected if it skips the judgement of versions', withoutVersions, '21', true],
    ['is detected if it uses an earlier certificate', firstOf(), '22', true],
  ])('%s', async (_, mutate, userId, caught) => {
    await world.run({ kind: 'all' });
    const { read } = createReader({
      authority: { certify: async (...asked) => mutate(await world.authority.certify(...asked)) },
    });
    expect(await isCaught(read, userId)).toBe(caught);
  });

  it('is detected if it remembers a wrong version', async () => {
    await world.run({ kind: 'all' });
    const memory: PredictionMemory = createPredictionMemory({ maxBytes: 1e6 });
    const lying: PredictionMemory = {
      ...memory,
      keep: (id, userId, { label, prediction }) =>
        memory.keep(id, userId, { label: { ...label, contextVersion: 1_000 }, prediction }),
    };
    expect(await isCaught(createReader({ memory: lying }).read, '23')).toBe(true);
    expect(await isCaught(createReader().read, '24')).toBe(false);
  });

  it('is detected if it offers a prediction of an older generation as current', async () => {
    await world.run({ kind: 'all' });
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    const passing: PredictionMemory = {
      ...memory,
      keep: (_, userId, held) => memory.keep('any', userId, held),
      find(generationId, userId) {
        const held = memory.find('any', userId);
        return held && { ...held, label: { ...held.label, generationId } };
      },
    };
    const [deceived, right] = [createReader({ memory: passing }), createReader()];
    for (const { short } of [deceived, right]) expect(await short(['25'])).toEqual(['batch fresh 0']);
    // The next run reads a feature that changed without an event.
    await world.pool.query('update counts set changes = 3 where user_id = 25');
    await world.run({ kind: 'all' });
    for (const { short } of [deceived, right]) await short(['26']);
    expect(await deceived.short(['25'])).toEqual(['batch fresh 0']);
    expect(await right.short(['25'])).toEqual(['batch fresh 0.3']);
  });

  function withoutVersions(certificate: Certificate): Certificate {
    return { ...certificate, user: () => ({ version: 0, touched: 0, deletedVersion: 0 }) };
  }

  function firstOf() {
    let first: Certificate | undefined;
    return (certificate: Certificate) => {
      first ??= certificate;
      return first;
    };
  }
});
