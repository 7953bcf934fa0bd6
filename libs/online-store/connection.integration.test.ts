import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createServerConnection } from './connection.ts';
import { createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import {
  assignmentOf,
  connectTo,
  type OwnRedis,
  overlayEntry,
  PATIENT_LIMITS,
  startOwnRedis,
} from './redis.fixture.ts';

const assignment = assignmentOf(null);
/** Time limits for a busy machine. */
const PATIENCE = 20_000;

describe('a server that comes and goes', () => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await startOwnRedis();
  });
  afterAll(() => server.remove());

  async function openStore(limits: Partial<typeof PATIENT_LIMITS> = {}) {
    const { connection, events } = await connectTo(server.url, limits);
    const predictions = createOnlinePredictions({ connection, log: (event) => events.push(event) });
    await vi.waitFor(() => expect(predictions.serverId()).not.toBeNull(), PATIENCE);
    return { connection, events, predictions };
  }

  /**
   * Returns the outcome of a read, and whether it took no time, up to the command timeout, or longer. Timers that start
   * with the read measure this: on a busy machine they are as late as the read's own timer. That timer starts when the
   * command is written, which took 100 ms on a busy machine. So the longer of the two timers has ten times the command
   * timeout.
   */
  async function follow(read: () => Promise<unknown>) {
    const outcome = read().then(
      () => 'answered',
      (error: { code?: string }) => error.code ?? 'unknown error',
    );
    const [soon, late] = [pause(25, true), pause(500, true)];
    const ended = outcome.then(() => false);
    const [isSlow, isLate] = await Promise.all([Promise.race([ended, soon]), Promise.race([ended, late])]);
    return { outcome: await outcome, took: isLate ? 'longer' : isSlow ? 'the timeout' : 'no time' };
  }

  it('has another id after kill -9 and a restart, and none in between', async () => {
    const { connection, predictions, events } = await openStore();
    const before = predictions.serverId();
    await server.kill();
    await vi.waitFor(() => expect(predictions.serverId()).toBeNull(), PATIENCE);
    const down = await follow(() => predictions.find(assignment, ['1']));
    expect(down).toEqual({ outcome: 'unavailable', took: 'no time' });
    await server.restart();
    await vi.waitFor(() => expect(predictions.serverId()).not.toBeNull(), PATIENCE);
    expect(predictions.serverId()).not.toBe(before);
    // The default limit of a command is too short for a busy machine.
    await vi.waitFor(async () => expect(await predictions.find(assignment, ['1'])).toEqual(new Map()), PATIENCE);
    expect(events).toContain('online_store.lost');
    connection.close();
  });

  it('while stopped, delays reads at most by the command timeout, and soon rejects them at once', async () => {
    const { connection, predictions, events } = await openStore();
    process.kill(server.pid, 'SIGSTOP');
    try {
      const reads: Awaited<ReturnType<typeof follow>>[] = [];
      for (let i = 0; i < 20; i++) reads.push(await follow(() => predictions.find(assignment, ['1'])));
      expect(new Set(reads.map((read) => read.outcome))).toEqual(new Set(['unavailable']));
      expect(reads.filter(({ took }) => took === 'longer')).toEqual([]);
      // Three reads open the circuit. A fourth may have to wait before it opens.
      expect(reads.filter(({ took }) => took !== 'no time').length).toBeLessThanOrEqual(4);
      expect(events).toContain('online_store.circuit_open');
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await vi.waitFor(
      async () => expect((await follow(() => predictions.find(assignment, ['1']))).outcome).toBe('answered'),
      PATIENCE,
    );
    connection.close();
  });

  it('is used again after a stop that was longer than the connection lasted', async () => {
    const { connection, predictions, events } = await openStore();
    const id = predictions.serverId();
    process.kill(server.pid, 'SIGSTOP');
    try {
      await follow(() => predictions.find(assignment, ['1']));
      await vi.waitFor(() => expect(connection.redis.status).not.toBe('ready'), PATIENCE);
      expect((await follow(() => predictions.find(assignment, ['1']))).took).toBe('no time');
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await vi.waitFor(() => expect(predictions.serverId()).toBe(id), PATIENCE);
    expect(events.filter((event) => event === 'online_store.lost').length).toBeLessThan(5);
    connection.close();
  });

  it('is waited for beyond a second if the limit of commands is longer', async () => {
    const connection = createServerConnection({ url: server.url, log: () => {}, commandTimeoutMs: PATIENCE });
    const predictions = createOnlinePredictions({ connection, log: () => {} });
    await connection.whenReady(PATIENCE);
    process.kill(server.pid, 'SIGSTOP');
    try {
      const read = predictions.find(assignment, ['1']);
      await pause(1_500);
      process.kill(server.pid, 'SIGCONT');
      expect(await read).toEqual(new Map());
    } finally {
      process.kill(server.pid, 'SIGCONT');
      connection.close();
    }
  });

  it('is replaced by another connection after it rejects writes as a demoted primary', async () => {
    const { connection } = await openStore(PATIENT_LIMITS);
    const overlay = createOverlayStore({ connection });
    const { connection: admin } = await connectTo(server.url);
    const clientId = await connection.redis.client('ID');
    await admin.redis.replicaof('127.0.0.1', '1');
    try {
      await expect(overlay.put([overlayEntry('1')])).rejects.toMatchObject({ code: 'unavailable' });
      await vi.waitFor(async () => expect(await connection.redis.client('ID')).not.toBe(clientId), PATIENCE);
    } finally {
      await admin.redis.replicaof('NO', 'ONE');
      admin.close();
    }
    await vi.waitFor(() => overlay.put([overlayEntry('1')]), PATIENCE);
    connection.close();
  });

  it('has no candidates after a flush, and accepts new ones although it lost the scripts', async () => {
    const { connection, predictions } = await openStore(PATIENT_LIMITS);
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

describe('an address without a listener', () => {
  it('neither throws nor delays callers', async () => {
    const connection = createServerConnection({ url: 'redis://127.0.0.1:1', log: () => {} });
    expect(connection.serverId()).toBeNull();
    const predictions = createOnlinePredictions({ connection, log: () => {} });
    await expect(predictions.find(assignment, ['1'])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(connection.whenReady(50)).rejects.toMatchObject({ code: 'unavailable' });
    connection.close();
  });
});

it('is not open for a database that the server does not have, and reports it', async () => {
  const url = new URL(inject('redisUrl'));
  url.pathname = '/9999';
  const events: string[] = [];
  const connection = createServerConnection({ url: url.href, log: (event) => events.push(event) });
  await expect(connection.whenReady(PATIENCE)).rejects.toMatchObject({
    detail: expect.stringContaining('no database 9999'),
  });
  expect([connection.isOpen(), events.includes('online_store.database_refused')]).toEqual([false, true]);
  connection.close();
  url.pathname = '/3';
  const other = createServerConnection({ url: url.href, log: () => {} });
  await other.whenReady(PATIENCE);
  expect(other.isOpen()).toBe(true);
  other.close();
});
