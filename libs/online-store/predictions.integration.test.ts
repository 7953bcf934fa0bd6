import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { ServerConnection } from './connection.ts';
import { OnlineGenerationLoader } from './generation-loader.ts';
import { bucketOf, createKeys, userKeyOf } from './keys.ts';
import { createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import {
  assignmentOf,
  connectTo,
  deleteKeys,
  HISTORY,
  MODEL,
  overlayEntry,
  randomPrefix,
  STARTED_AT,
} from './redis.fixture.ts';

const generation = {
  id: '3f2b8a52-1111-4222-8333-944455556666',
  buckets: 40,
  startedAt: STARTED_AT,
  isOutdated: false,
};
const assignment = assignmentOf(generation);
const rowOf = (userId: string, contextVersion = 3) => ({
  userId,
  contextVersion,
  computedAt: STARTED_AT + 500,
  outputs: Buffer.from(`of ${userId}`),
});
const uuid = '0190a3f2-7c1e-7000-8000-000000000001';

describe('createOnlinePredictions', () => {
  let connection: ServerConnection;
  let prefix: string;
  let keys: ReturnType<typeof createKeys>;
  const logged: string[] = [];
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl')));
  });
  beforeEach(() => {
    prefix = randomPrefix();
    keys = createKeys(prefix);
    return () => deleteKeys(connection, prefix);
  });
  afterAll(() => connection.close());

  const open = () => createOnlinePredictions({ connection, prefix, log: (event) => logged.push(event) });
  const load = (ids: readonly string[]) =>
    new OnlineGenerationLoader({ connection, prefix }).loadRows(
      generation,
      ids.map((id) => rowOf(id)),
    );

  it('finds the generation’s candidate first, then the overlay’s', async () => {
    await load(['1', uuid]);
    await createOverlayStore({ connection, prefix }).put([overlayEntry('1', { contextVersion: 9 }), overlayEntry('2')]);
    const found = await open().find(assignment, ['1', uuid, '2', 'nobody']);
    expect([...found.keys()].sort()).toEqual([uuid, '1', '2'].sort());
    expect(found.get('1')).toMatchObject([
      { layer: 'generation', source: 'batch', contextVersion: 3, modelVersionId: MODEL, generationId: generation.id },
      { layer: 'overlay', source: 'live', contextVersion: 9, history: HISTORY, overlayFloor: 0 },
    ]);
    expect(found.get('1')?.[0]?.computedAt).toBe(STARTED_AT + 500);
    expect(found.get(uuid)?.[0]?.outputs.toString()).toBe(`of ${uuid}`);
  });

  it('finds nothing in another generation, predictor or prefix', async () => {
    await load(['1']);
    await createOverlayStore({ connection, prefix }).put([overlayEntry('1')]);
    const elsewhere = assignmentOf({ ...generation, id: '00000000-0000-4000-8000-000000000000' });
    expect(await open().find({ ...elsewhere, predictor: 'churn' }, ['1'])).toEqual(new Map());
    const stranger = createOnlinePredictions({ connection, prefix: `${prefix}x`, log: () => {} });
    expect(await stranger.find(assignment, ['1'])).toEqual(new Map());
  });

  it('reads only the overlay if no generation is current', async () => {
    await load(['1']);
    await createOverlayStore({ connection, prefix }).put([overlayEntry('1')]);
    const found = await open().find(assignmentOf(null), ['1']);
    expect(found.get('1')).toMatchObject([{ layer: 'overlay' }]);
  });

  it('looks up 1,000 users in a single write, as one command', async () => {
    const ids = Array.from({ length: 1_000 }, (_, i) => String(i));
    await load(ids);
    const predictions = open();
    const write = vi.spyOn(connection.redis.stream, 'write');
    const send = vi.spyOn(connection.redis, 'sendCommand');
    const found = await predictions.find(assignment, ids);
    expect(found.size).toBe(1_000);
    expect(ids.every((id) => found.get(id)?.[0]?.outputs.toString() === `of ${id}`)).toBe(true);
    expect(write).toHaveBeenCalledTimes(1);
    expect(send).toHaveBeenCalledTimes(1);
    write.mockRestore();
    send.mockRestore();
  });

  it('combines concurrent finds into one write, each with its own answer', async () => {
    const ids = Array.from({ length: 64 }, (_, i) => String(i));
    await load(ids);
    await createOverlayStore({ connection, prefix }).put(
      ids.map((id) => overlayEntry(id, { outputs: Buffer.from(id) })),
    );
    const predictions = open();
    const write = vi.spyOn(connection.redis.stream, 'write');
    const found = await Promise.all(ids.map((id) => predictions.find(assignment, [id])));
    expect(write).toHaveBeenCalledTimes(1);
    write.mockRestore();
    ids.forEach((id, i) => {
      const outputs = found[i]?.get(id)?.map((candidate) => candidate.outputs.toString());
      expect(outputs).toEqual([`of ${id}`, id]);
    });
  });

  it('ignores damaged values, keys of another type and values of another user', async () => {
    await load(['1', '2', '3']);
    const bucket = (id: string) => keys.bucket(generation.id, bucketOf(userKeyOf(id).hash, generation.buckets));
    const bytes = await connection.redis.hgetBuffer(bucket('2'), '2');
    await connection.redis.hset(bucket('1'), '1', bytes ?? '');
    await connection.redis.hset(bucket('2'), '2', Buffer.from([1, 2, 3]));
    await connection.redis.unlink(bucket('3'));
    await connection.redis.set(bucket('3'), 'no hash');
    await connection.redis.set(keys.overlay(userKeyOf('1'), 'repurchase'), 'garbage');
    await connection.redis.rpush(keys.overlay(userKeyOf('2'), 'repurchase'), 'no string');
    expect(await open().find(assignment, ['1', '2', '3'])).toEqual(new Map());
    expect(logged).toContain('online_store.read_refused');
  });
});
