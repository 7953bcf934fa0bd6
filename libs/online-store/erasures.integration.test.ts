import { randomUUID } from 'node:crypto';
import type { OnlineLocations, Tombstone } from '@tandem/prediction/erasure/erasure';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ServerConnection } from './connection.ts';
import { createErasures } from './erasures.ts';
import { OnlineGenerationLoader } from './generation-loader.ts';
import { createKeys } from './keys.ts';
import { createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import {
  assignmentOf,
  connectTo,
  deleteKeys,
  HISTORY,
  overlayEntry,
  randomPrefix,
  STARTED_AT,
} from './redis.fixture.ts';

const prefix = randomPrefix();
const OTHER_HISTORY = 'f'.repeat(16);
let connection: ServerConnection;
beforeAll(async () => {
  ({ connection } = await connectTo(inject('redisUrl')));
});
afterEach(() => deleteKeys(connection, prefix));
afterAll(() => connection.close());

const erasures = () => createErasures({ connection, prefix });
const tombstone = (number: number, changes: Partial<Tombstone> = {}): Tombstone => ({
  userId: '42',
  history: HISTORY,
  number,
  version: 7,
  erasedAt: new Date(),
  ...changes,
});
const counted = async () => (await erasures().told())?.count ?? null;

/** Restores the count, as a worker does for a server without a count. */
const restore = (count: number, history = HISTORY) => erasures().restore(async () => ({ history, count }));

describe('the count of erasures', () => {
  it('is raised by each erasure, is returned with the server’s id, and is never lowered', async () => {
    await restore(3);
    await erasures().tell(tombstone(5));
    await erasures().tell(tombstone(4));
    expect(await erasures().told()).toEqual({ history: HISTORY, count: 5, serverId: connection.serverId() });
  });

  it('never expires', async () => {
    await restore(3);
    await erasures().tell(tombstone(5));
    expect(await connection.redis.pttl(createKeys(prefix).count('erasures'))).toBe(-1);
  });

  it('is restored after a loss, after an announcement', async () => {
    const asked: (number | null)[] = [];
    const restored = await erasures().restore(async () => {
      asked.push(await connection.redis.exists(createKeys(prefix).restoring('erasures')));
      return { history: HISTORY, count: 3 };
    });
    expect([asked, restored, await counted()]).toEqual([[1], true, 3]);
    expect(await connection.redis.exists(createKeys(prefix).restoring('erasures'))).toBe(0);
  });

  it('is not restored by a late erasure, since there may have been later ones', async () => {
    await restore(0);
    await erasures().tell(tombstone(2, { userId: '43' }));
    await deleteKeys(connection, prefix);
    await erasures().tell(tombstone(1));
    expect(await counted()).toBeNull();
    expect([await restore(2), await counted()]).toEqual([true, 2]);
  });

  it('is not restored if Redis lost all data after Postgres was asked for the count', async () => {
    const restored = await erasures().restore(async () => {
      await deleteKeys(connection, prefix);
      return { history: HISTORY, count: 3 };
    });
    expect([restored, await counted()]).toEqual([false, null]);
  });

  it('is not restored if an erasure arrived after Postgres was asked, even if Redis has lost that count', async () => {
    await restore(3);
    const restored = await erasures().restore(async () => {
      await erasures().tell(tombstone(4));
      // Only the count is evicted; the announcement stays.
      await connection.redis.del(createKeys(prefix).count('erasures'));
      return { history: HISTORY, count: 3 };
    });
    expect([restored, await counted()]).toEqual([false, null]);
  });

  it('is not lowered by a restore, and of two restores the later one counts', async () => {
    await restore(5);
    const restored = await erasures().restore(async () => {
      await restore(6);
      return { history: HISTORY, count: 4 };
    });
    expect([restored, await counted()]).toEqual([false, 6]);
  });

  it('of another history is deleted by an erasure, and replaced by a restore', async () => {
    await restore(5);
    await erasures().tell(tombstone(2, { history: OTHER_HISTORY }));
    expect(await counted()).toBeNull();
    await restore(5);
    await restore(2, OTHER_HISTORY);
    expect(await erasures().told()).toMatchObject({ history: OTHER_HISTORY, count: 2 });
  });

  it.each(['', 'x', '5', `${HISTORY}.-1`])('a malformed count is ignored: %j', async (text) => {
    await connection.redis.set(createKeys(prefix).count('erasures'), text);
    expect(await counted()).toBeNull();
    await erasures().tell(tombstone(1));
    expect(await counted()).toBeNull();
    await restore(1);
    expect(await counted()).toBe(1);
  });
});

describe('an erased user', () => {
  const generations = [0, 1].map((n) => ({ id: randomUUID(), buckets: 1 + n, startedAt: STARTED_AT }));
  const locations: OnlineLocations = { predictors: ['repurchase', 'other'], generations };

  async function fill(): Promise<void> {
    const rows = ['42', '43'].map((userId) => ({
      userId,
      contextVersion: 1,
      computedAt: STARTED_AT,
      outputs: Buffer.from([1, 2, 3, 4]),
    }));
    for (const generation of generations)
      await new OnlineGenerationLoader({ connection, prefix }).loadRows(generation, rows);
    const overlay = createOverlayStore({ connection, prefix });
    await overlay.put([overlayEntry('42'), overlayEntry('42', { predictor: 'other' }), overlayEntry('43')]);
  }

  const found = async (userId: string, generation = 0) => {
    const predictions = createOnlinePredictions({ connection, prefix, log: () => {} });
    return (await predictions.find(assignmentOf(generations[generation] ?? null), [userId])).get(userId)?.length ?? 0;
  };

  it('is deleted from every generation and overlay, and no other user is; deletions are counted', async () => {
    await fill();
    expect(await found('42')).toBe(2);
    expect(await erasures().forget(['42'], locations)).toEqual({ predictions: 2, overlayEntries: 2 });
    expect([await found('42'), await found('42', 1), await found('43'), await found('43', 1)]).toEqual([0, 0, 2, 2]);
    expect(await erasures().forget(['42'], locations)).toEqual({ predictions: 0, overlayEntries: 0 });
  });

  it('is not restored by a live answer from before the erasure', async () => {
    const overlay = createOverlayStore({ connection, prefix });
    await erasures().tell(tombstone(1, { version: 7 }));
    expect(await overlay.putEach([overlayEntry('42', { contextVersion: 6 })])).toEqual(['outdated']);
    expect(await found('42')).toBe(0);
  });
});
