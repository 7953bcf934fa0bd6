import { randomUUID } from 'node:crypto';
import { protocolUnknown } from '@tandem/freshness/protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { checkBuckets } from './bucket-fit.ts';
import { createServerConnection, type ServerConnection } from './connection.ts';
import { OnlineGenerationLoader } from './generation-loader.ts';
import { OnlineGenerationSweeper } from './generation-sweeper.ts';
import { createKeys } from './keys.ts';
import { createHintStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import {
  assignmentOf,
  connectTo,
  deleteKeys,
  HISTORY,
  PATIENT_LIMITS,
  randomPrefix,
  STARTED_AT,
} from './redis.fixture.ts';

const USERS = 3_000;
const rows = Array.from({ length: USERS }, (_, i) => ({
  userId: i % 2 ? String(i) : `0190a3f2-7c1e-7000-8000-${String(i).padStart(12, '0')}`,
  contextVersion: i % 7,
  computedAt: STARTED_AT + i,
  outputs: Buffer.from(String(i)),
}));
const log = () => {};
const pages = [rows.slice(0, 1_000), rows.slice(1_000, 2_500), rows.slice(2_500)];

describe('loading generations', () => {
  let connection: ServerConnection;
  let prefix: string;
  let generation: { id: string; buckets: number; startedAt: number };
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl')));
  });
  beforeEach(() => {
    prefix = randomPrefix();
    generation = { id: randomUUID(), buckets: 40, startedAt: STARTED_AT };
    return () => deleteKeys(connection, prefix);
  });
  afterAll(() => connection.close());

  const loader = () => new OnlineGenerationLoader({ connection, prefix, windowRows: 700 });
  const sweeper = () => new OnlineGenerationSweeper({ connection, prefix });
  const keysNow = async () => (await connection.redis.keys(`${prefix}:*`)).sort();
  async function usersFound() {
    const predictions = createOnlinePredictions({ connection, prefix, log: () => {} });
    const found = await predictions.find(
      assignmentOf(generation),
      rows.map((row) => row.userId),
    );
    for (const { userId, ...row } of rows) {
      const candidate = found.get(userId)?.[0];
      if (candidate) expect(candidate).toMatchObject(row);
    }
    return found.size;
  }

  it('makes every row findable, and only then marks the generation as loaded', async () => {
    expect(await loader().isLoaded(generation)).toBe(false);
    expect(await loader().loadGeneration(generation, pages)).toEqual({ loaded: USERS, skipped: 0, complete: true });
    expect(await loader().isLoaded(generation)).toBe(true);
    expect(await usersFound()).toBe(USERS);
  });

  it('stops between two writes if its process may no longer send commands, and so does a sweep', async () => {
    let isAllowed = true;
    const assertAllowed = () => {
      if (!isAllowed) throw protocolUnknown(2);
    };
    const stopped = createServerConnection({ url: inject('redisUrl'), ...PATIENT_LIMITS, log, assertAllowed });
    await stopped.whenReady(20_000);
    function* stopping() {
      yield pages[0] ?? [];
      isAllowed = false;
      yield pages[1] ?? [];
    }
    const refused = { code: 'protocol_unknown' };
    const load = new OnlineGenerationLoader({ connection: stopped, prefix }).loadGeneration(generation, stopping());
    await expect(load).rejects.toMatchObject(refused);
    expect(await usersFound()).toBe(1_000);
    const sweep = new OnlineGenerationSweeper({ connection: stopped, prefix }).sweep(async () => []);
    await expect(sweep).rejects.toMatchObject(refused);
    expect(await usersFound()).toBe(1_000);
    stopped.close();
  });

  it('gives the same result if two loaders load rows twice in another order', async () => {
    await loader().loadGeneration(generation, pages);
    const dump = async () => Promise.all((await keysNow()).map((key) => connection.redis.type(key)));
    const before = { keys: await keysNow(), types: await dump() };
    await Promise.all([
      loader().loadGeneration(generation, pages.toReversed()),
      loader().loadRows(generation, rows.toReversed()),
    ]);
    expect({ keys: await keysNow(), types: await dump() }).toEqual(before);
    expect(await usersFound()).toBe(USERS);
    expect(await loader().completeLoad(generation, USERS)).toBe(true);
  });

  it('completes a load by chunks only when all users are there', async () => {
    for (const page of pages.slice(1)) await loader().loadRows(generation, page);
    expect(await loader().completeLoad(generation, USERS)).toBe(false);
    expect(await loader().isLoaded(generation)).toBe(false);
    await loader().loadRows(generation, pages[0] ?? []);
    expect(await loader().completeLoad(generation, USERS)).toBe(true);
    expect(await loader().isLoaded(generation)).toBe(true);
  });

  it('restores a lost marker if all users are there, but not if some are lost too', async () => {
    await loader().loadGeneration(generation, pages);
    const { marker, bucket } = createKeys(prefix);
    await connection.redis.unlink(marker(generation.id));
    expect(await loader().isLoaded(generation)).toBe(false);
    expect(await loader().completeLoad(generation, USERS)).toBe(true);
    expect(await loader().isLoaded(generation)).toBe(true);
    await connection.redis.unlink(marker(generation.id), bucket(generation.id, 0));
    expect(await loader().completeLoad(generation, USERS)).toBe(false);
    expect(await loader().isLoaded(generation)).toBe(false);
  });

  it('does not complete a marker that Redis loses, with rows, during the count', async () => {
    await loader().loadRows(generation, rows);
    const { connection: losing } = await connectTo(inject('redisUrl'));
    onTestFinished(() => losing.close());
    losing.ask = async (lookups) => {
      const replies = await connection.ask(lookups);
      await deleteKeys(connection, prefix);
      return replies;
    };
    expect(await new OnlineGenerationLoader({ connection: losing, prefix }).completeLoad(generation, USERS)).toBe(
      false,
    );
    expect(await loader().isLoaded(generation)).toBe(false);
  });

  it('is not loaded under another number of buckets', async () => {
    await loader().loadGeneration(generation, pages);
    expect(await loader().isLoaded({ ...generation, buckets: 80 })).toBe(false);
  });

  it('leaves a row that its layout cannot encode to Postgres, and reports it', async () => {
    const odd = { ...rows[0], userId: 'odd', contextVersion: 1, computedAt: STARTED_AT - 1, outputs: Buffer.alloc(4) };
    expect(await loader().loadGeneration(generation, [[odd], rows])).toEqual({
      loaded: USERS,
      skipped: 1,
      complete: true,
    });
  });

  it('loads a generation without users', async () => {
    expect(await loader().loadGeneration(generation, [])).toEqual({ loaded: 0, skipped: 0, complete: true });
    expect(await loader().isLoaded(generation)).toBe(true);
  });

  it('respects its rate, and stops at once when it is aborted', async () => {
    const startedAt = performance.now();
    await loader().loadGeneration(generation, pages, { rowsPerSecond: 6_000 });
    expect(performance.now() - startedAt).toBeGreaterThan(450);
    const abort = new AbortController();
    const stopped = loader().loadGeneration(generation, pages, { rowsPerSecond: 10, signal: abort.signal });
    abort.abort();
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('removes one generation and nothing else', async () => {
    const other = { ...generation, id: randomUUID() };
    await loader().loadGeneration(other, [rows.slice(0, 100)]);
    const before = await keysNow();
    await loader().loadGeneration(generation, pages);
    await sweeper().forget(generation);
    expect(await keysNow()).toEqual(before);
    expect(await loader().isLoaded(other)).toBe(true);
  });

  it('removes generations that are not kept, but not a generation that starts meanwhile', async () => {
    const kept = { ...generation, id: randomUUID() };
    const late = { ...generation, id: randomUUID() };
    await createHintStore({ connection, prefix }).raise([{ userId: '1', history: HISTORY, version: 1 }]);
    await loader().loadGeneration(kept, [rows.slice(0, 100)]);
    const before = await keysNow();
    await loader().loadGeneration(generation, pages);
    const swept = await sweeper().sweep(async () => {
      await loader().loadGeneration(late, [rows.slice(0, 100)]);
      return [kept.id];
    });
    expect(swept).toEqual({ generations: [generation.id], keys: generation.buckets + 1 });
    expect(await loader().isLoaded(late)).toBe(true);
    await sweeper().forget(late);
    expect(await keysNow()).toEqual(before);
  });

  it('removes untracked generations that a scan finds, but not kept ones or those that start meanwhile', async () => {
    const kept = { ...generation, id: randomUUID() };
    const late = { ...generation, id: randomUUID() };
    await loader().loadGeneration(kept, [rows.slice(0, 100)]);
    await loader().loadGeneration(generation, pages);
    await connection.redis.del(createKeys(prefix).generations());
    expect(await sweeper().sweep(async () => [])).toEqual({ generations: [], keys: 0 });
    const listed: string[] = [kept.id];
    const swept = await sweeper().sweepLost(async () => {
      if (listed.length === 1) {
        await loader().loadGeneration(late, [rows.slice(0, 100)]);
        listed.push(late.id);
      }
      return listed;
    });
    expect(swept).toEqual({ generations: [generation.id], keys: generation.buckets + 1 });
    expect([await loader().isLoaded(kept), await loader().isLoaded(late)]).toEqual([true, true]);
    expect(await loader().completeLoad(late, 100)).toBe(true);
    const stopped = sweeper().sweepLost(async () => listed, AbortSignal.abort());
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('takes at most 40 bytes for each user, for short ids and for uuids', async () => {
    for (const idOf of [(i: number) => String(10_000_000 + i), () => randomUUID()]) {
      const own = { ...generation, id: randomUUID(), buckets: 160 };
      const many = Array.from({ length: 160 * 128 }, (_, i) => ({
        userId: idOf(i),
        contextVersion: i % 3,
        computedAt: STARTED_AT + i,
        outputs: Buffer.from([i & 255, i >> 8, 128, 63]),
      }));
      await loader().loadGeneration(own, [many]);
      const keys = createKeys(prefix);
      let bytes = 0;
      for (let i = 0; i < own.buckets; i++)
        bytes += Number(await connection.redis.memory('USAGE', keys.bucket(own.id, i)));
      expect(bytes / many.length).toBeLessThanOrEqual(40);
    }
  });

  it('warns of crowded buckets, but not of wide values', async () => {
    const logged: string[] = [];
    const fields: Record<string, unknown>[] = [];
    const dependencies = {
      connection,
      prefix,
      log: (event: string, told: Record<string, unknown>) => {
        logged.push(event);
        fields.push(told);
      },
    };
    await loader().loadGeneration(generation, pages);
    const fit = await checkBuckets(dependencies, { ...generation, users: 40 * 100 });
    expect(fit).toMatchObject({ meanUsers: 100, layout: 'listpack' });
    expect(logged).toEqual([]);
    await checkBuckets(dependencies, { ...generation, users: 40 * 300 });
    expect(logged).toEqual(['online_store.buckets_crowded']);
    expect(fields).toMatchObject([
      { meanUsers: 300, remedy: expect.stringContaining('hash-max-listpack-entries to 600') },
    ]);
    await sweeper().forget(generation);
    const wide = rows.map((row) => ({ ...row, outputs: Buffer.alloc(400, row.contextVersion) }));
    await loader().loadGeneration(generation, [wide]);
    expect(await connection.redis.object('ENCODING', createKeys(prefix).bucket(generation.id, 0))).toBe('hashtable');
    const wideFit = await checkBuckets(dependencies, { ...generation, users: 40 * 300 });
    expect(wideFit).toMatchObject({ layout: 'hash table' });
    expect(logged).toHaveLength(1);
  });
});
