import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createOnlineConnection } from './connection.ts';
import { createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import { assignmentOf, connectTo, type OwnRedis, overlayEntry, startOwnRedis } from './redis.fixture.ts';

const assignment = assignmentOf(null);

describe('a server that comes and goes', () => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await startOwnRedis();
  });
  afterAll(() => server.remove());

  async function openStore() {
    const { connection, events } = await connectTo(server.url);
    const predictions = createOnlinePredictions({ connection, log: (event) => events.push(event) });
    await vi.waitFor(() => expect(predictions.serverId()).not.toBeNull());
    return { connection, events, predictions };
  }

  /** How long a read takes, answered or not. */
  async function timed(read: () => Promise<unknown>) {
    const startedAt = performance.now();
    const outcome = await read().then(
      () => 'answered',
      (error: { code?: string }) => error.code ?? 'unknown error',
    );
    return { outcome, ms: performance.now() - startedAt };
  }

  it('is another server after kill -9 and a restart, and none in between', async () => {
    const { connection, predictions, events } = await openStore();
    const before = predictions.serverId();
    await server.kill();
    await vi.waitFor(() => expect(predictions.serverId()).toBeNull());
    const down = await timed(() => predictions.find(assignment, ['1']));
    expect(down.outcome).toBe('unavailable');
    expect(down.ms).toBeLessThan(20);
    await server.restart();
    await vi.waitFor(() => expect(predictions.serverId()).not.toBeNull(), 5_000);
    expect(predictions.serverId()).not.toBe(before);
    expect(await predictions.find(assignment, ['1'])).toEqual(new Map());
    expect(events).toContain('online_store.lost');
    connection.close();
  });

  it('holds no read longer than the command timeout while stopped, and soon none at all', async () => {
    const { connection, predictions, events } = await openStore();
    process.kill(server.pid, 'SIGSTOP');
    try {
      const reads: Awaited<ReturnType<typeof timed>>[] = [];
      for (let i = 0; i < 20; i++) reads.push(await timed(() => predictions.find(assignment, ['1'])));
      expect(new Set(reads.map((read) => read.outcome))).toEqual(new Set(['unavailable']));
      // 50 ms, and what two busy processors add.
      expect(Math.max(...reads.map((read) => read.ms))).toBeLessThan(100);
      // Three open the circuit; one more may be slow for other reasons.
      expect(reads.filter((read) => read.ms > 40).length).toBeLessThanOrEqual(4);
      expect(events).toContain('online_store.circuit_open');
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await vi.waitFor(
      async () => expect((await timed(() => predictions.find(assignment, ['1']))).outcome).toBe('answered'),
      5_000,
    );
    connection.close();
  });

  it('comes back after a stop that outlived the connection', async () => {
    const { connection, predictions, events } = await openStore();
    const id = predictions.serverId();
    process.kill(server.pid, 'SIGSTOP');
    try {
      await timed(() => predictions.find(assignment, ['1']));
      await vi.waitFor(() => expect(connection.redis.status).not.toBe('ready'), 3_000);
      expect((await timed(() => predictions.find(assignment, ['1']))).ms).toBeLessThan(20);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await vi.waitFor(() => expect(predictions.serverId()).toBe(id), 5_000);
    expect(events.filter((event) => event === 'online_store.lost').length).toBeLessThan(5);
    connection.close();
  });

  it('is left for another connection once it refuses writes as a demoted primary', async () => {
    const { connection } = await openStore();
    const overlay = createOverlayStore({ connection });
    const { connection: admin } = await connectTo(server.url, 2_000);
    const clientId = await connection.redis.client('ID');
    await admin.redis.replicaof('127.0.0.1', '1');
    try {
      await expect(overlay.put([overlayEntry('1')])).rejects.toMatchObject({ code: 'unavailable' });
      await vi.waitFor(async () => expect(await connection.redis.client('ID')).not.toBe(clientId), 5_000);
    } finally {
      await admin.redis.replicaof('NO', 'ONE');
      admin.close();
    }
    await vi.waitFor(() => overlay.put([overlayEntry('1')]), 5_000);
    connection.close();
  });

  it('has no candidates after a flush, and takes new ones though it forgot the scripts', async () => {
    const { connection, predictions } = await openStore();
    const overlay = createOverlayStore({ connection });
    await overlay.put([overlayEntry('1'), overlayEntry('2')]);
    expect((await predictions.find(assignment, ['1', '2'])).size).toBe(2);
    await connection.redis.flushall();
    await connection.redis.script('FLUSH');
    expect(await predictions.find(assignment, ['1', '2'])).toEqual(new Map());
    expect(await overlay.putEach([overlayEntry('1'), overlayEntry('2')])).toEqual(['kept', 'kept']);
    connection.close();
  });
});

describe('an address where nobody listens', () => {
  it('neither throws nor holds anyone up', async () => {
    const connection = createOnlineConnection({ url: 'redis://127.0.0.1:1', log: () => {} });
    expect(connection.serverId()).toBeNull();
    const predictions = createOnlinePredictions({ connection, log: () => {} });
    await expect(predictions.find(assignment, ['1'])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(connection.whenReady(50)).rejects.toMatchObject({ code: 'unavailable' });
    connection.close();
  });
});
