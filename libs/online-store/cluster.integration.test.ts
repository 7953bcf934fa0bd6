/// <reference path="./cluster-key-slot.d.ts" />
/**
 * Tests of the stores on a real cluster of three primaries: every command finds its server, even after a failover and
 * while slots move.
 */
import { randomUUID } from 'node:crypto';
import { type RedisCluster, startRedisCluster } from '@tandem/testing/redis-cluster';
import type { RedisServer } from '@tandem/testing/redis-servers';
import calculateSlot from 'cluster-key-slot';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { OnlineConnection } from './connection.ts';
import { createErasures } from './erasures.ts';
import { OnlineGenerationLoader } from './generation-loader.ts';
import { OnlineGenerationSweeper } from './generation-sweeper.ts';
import { createKeys } from './keys.ts';
import { createMarkMemory } from './mark-memory.ts';
import { createOnlineConnection } from './online-connection.ts';
import { createHintStore, createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import { assignmentOf, HISTORY, overlayEntry, PATIENT_LIMITS, STARTED_AT } from './redis.fixture.ts';

const PATIENCE = { timeout: 30_000, interval: 100 };
const USERS = Array.from({ length: 2_000 }, (_, i) => `${i}`);
const BUCKETS = 97;

let cluster: RedisCluster;
let connection: OnlineConnection;
beforeAll(async () => {
  cluster = await startRedisCluster();
  connection = createOnlineConnection({ url: cluster.url, log: () => {}, ...PATIENT_LIMITS });
  await connection.whenReady(30_000);
}, 90_000);
afterAll(async () => {
  connection?.close();
  await cluster?.stop();
});

const newGeneration = () => ({ id: randomUUID(), buckets: BUCKETS, startedAt: STARTED_AT });
const rows = USERS.map((userId, i) => ({
  ...{ userId, contextVersion: 0, computedAt: STARTED_AT },
  outputs: Buffer.from(Uint32Array.of(i).buffer),
}));
async function* page() {
  yield rows;
}

async function loadedGeneration() {
  const generation = newGeneration();
  const loader = new OnlineGenerationLoader({ connection });
  const load = () => loader.loadGeneration(generation, page(), { rowsPerSecond: 1_000_000 });
  // As a worker does, it repeats a load that fails because a slot has just moved.
  await vi.waitFor(async () => expect(await load()).toMatchObject({ complete: true }), PATIENCE);
  return generation;
}

async function countFound(generation: ReturnType<typeof newGeneration>): Promise<number> {
  const online = createOnlinePredictions({ connection, log: () => {} });
  const found = await online.find(assignmentOf(generation), USERS);
  return USERS.filter((userId, i) => found.get(userId)?.[0]?.outputs.readUInt32LE(0) === i).length;
}

describe('a cluster', () => {
  it('spreads the buckets of a generation over its primaries, and finds every user', async () => {
    const generation = await loadedGeneration();
    expect(await new OnlineGenerationLoader({ connection }).isLoaded(generation)).toBe(true);
    expect(await countFound(generation)).toBe(USERS.length);
    const held = await Promise.all(
      connection.layout().shards.map(({ server }) => server.redis.keys(`${createKeys().bucketPrefix(generation.id)}*`)),
    );
    expect(held).toHaveLength(3);
    for (const keys of held) expect(keys.length).toBeGreaterThan(BUCKETS / 12);
  });

  it('keeps overlay entries of many users by compare-and-set', async () => {
    const overlay = createOverlayStore({ connection });
    const entries = USERS.slice(0, 300).map((userId) => overlayEntry(userId));
    expect(new Set(await overlay.putEach(entries))).toEqual(new Set(['kept']));
    expect(new Set(await overlay.putEach(entries.map((entry) => ({ ...entry, contextVersion: 0 }))))).toEqual(
      new Set(['older']),
    );
    await createHintStore({ connection }).raise([{ userId: '7', history: HISTORY, version: 9 }]);
    expect(await overlay.putEach([overlayEntry('7', { contextVersion: 8 })])).toEqual(['outdated']);
  });

  it('counts erasures and remembers the mark on each primary, and answers nothing unverified', async () => {
    const erasures = createErasures({ connection });
    expect(await erasures.told()).toBeNull();
    expect(await erasures.restore(async () => ({ history: HISTORY, count: 3 }))).toBe(true);
    await erasures.tell({ userId: '1', history: HISTORY, version: 4, number: 4, erasedAt: new Date(STARTED_AT) });
    expect(await erasures.told()).toMatchObject({ history: HISTORY, count: 4 });
    const [{ tag, server } = { tag: '', server: null }] = connection.layout().shards;
    await server?.redis.del(createKeys().count('erasures', tag));
    expect(await erasures.told()).toBeNull();

    const memory = createMarkMemory({ connection });
    const mark = { past: HISTORY, seq: 1, mark: randomUUID() };
    expect(await (await memory.recall()).replace(mark)).toBe(true);
    expect((await memory.recall()).marks).toEqual([mark, mark, mark]);
    expect(memory.serverId()).not.toBeNull();
    expect(createOnlinePredictions({ connection, log: () => {} }).serverId()).toBeNull();
  });

  it('removes an unlisted generation from every primary, and removes one by name', async () => {
    const [doomed, kept] = [await loadedGeneration(), await loadedGeneration()];
    const sweeper = new OnlineGenerationSweeper({ connection });
    const { generations } = await sweeper.sweep(async () => [kept.id]);
    expect(generations).toContain(doomed.id);
    expect([await countFound(doomed), await countFound(kept)]).toEqual([0, USERS.length]);
    await sweeper.forget(kept);
    expect(await countFound(kept)).toBe(0);
    const left = await Promise.all(connection.layout().shards.map(({ server }) => server.redis.keys('tandem:[gm]:*')));
    expect(left.flat()).toEqual([]);
  });

  it('answers every find while slots move, and uses the new servers afterwards', async () => {
    const generation = await loadedGeneration();
    const [from, to] = cluster.nodes as [RedisCluster['nodes'][0], RedisCluster['nodes'][0]];
    const slots = Array.from({ length: 120 }, (_, i) => 1_000 + i * 3);
    let isMoving = true;
    const moving = cluster.moveSlots(from, to, slots).finally(() => {
      isMoving = false;
    });
    const counts: number[] = [];
    while (isMoving) counts.push(await countFound(generation));
    await moving;
    expect(counts.length).toBeGreaterThan(1);
    expect(new Set(counts)).toEqual(new Set([USERS.length]));
    await vi.waitFor(async () => expect(await loadedGeneration()).toBeDefined(), PATIENCE);
  });

  it('needs no second load when the slot of a primary’s marker moves', async () => {
    const generation = await loadedGeneration();
    const loader = new OnlineGenerationLoader({ connection });
    const [{ tag } = { tag: '' }] = connection.layout().shards;
    const slot = calculateSlot(tag);
    const from = connection.layout().shardOf(`{${tag}}`);
    const nodes = connection
      .layout()
      .shards.map(({ server }) =>
        cluster.nodes.find(({ port }) => port === server.redis.options.port),
      ) as RedisCluster['nodes'];
    await cluster.moveSlots(nodes[from] as RedisServer, nodes[(from + 1) % 3] as RedisServer, [slot]);
    await vi.waitFor(() => expect(connection.layout().shardOf(`{${tag}}`)).not.toBe(from), PATIENCE);
    expect(await loader.isLoaded(generation)).toBe(false);
    expect(await loader.completeLoad(generation, USERS.length)).toBe(true);
    expect(await loader.isLoaded(generation)).toBe(true);
  });

  it('serves the users of the other primaries while one is down, and all users after its replica has replaced it', async () => {
    const generation = await loadedGeneration();
    const before = createMarkMemory({ connection }).serverId();
    await cluster.nodes[2]?.kill();
    const during = await vi.waitFor(() => countFound(generation), PATIENCE);
    expect(during).toBeGreaterThan(USERS.length / 3);
    await vi.waitFor(async () => expect(await countFound(generation)).toBe(USERS.length), PATIENCE);
    expect(createMarkMemory({ connection }).serverId()).not.toBe(before);
    await vi.waitFor(() => loadedGeneration(), PATIENCE);
  });
});
