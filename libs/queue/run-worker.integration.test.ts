import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';
import { silentLog } from '@tandem/telemetry/log';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createQueue, type Queue } from './enqueue.ts';
import { createQueueWorker, type Handlers, type QueueWorker } from './run-worker.ts';

// A separate server: it is killed, flushed and reconfigured here.
let folder: string;
let server: LocalServer;
let queue: Queue;
const workers: QueueWorker[] = [];
const concurrency = { planning: 2, publishing: 2, scoring: 2, loading: 1 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-queue-'));
  server = await start();
  queue = await createQueue({ url: server.url, log: silentLog });
});

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close(1_000)));
});

afterAll(async () => {
  await queue.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function start(port?: number): Promise<LocalServer> {
  return startRedis({ dataDir: folder, log: () => undefined, ...(port === undefined ? {} : { port }) });
}

const nothing: Handlers = {
  'plan-run': async () => ({}),
  'run-chunk': async () => ({}),
  'publish-run': async () => ({}),
  'load-generation': async () => ({}),
};

function work(handlers: Partial<Handlers>, options: { idleMs?: number; onDead?: (why: string) => void } = {}) {
  const { idleMs = 60_000, onDead = () => undefined } = options;
  const worker = createQueueWorker({
    url: server.url,
    queue,
    handlers: { ...nothing, ...handlers },
    concurrency,
    log: silentLog,
    idleMs,
    onDead,
  });
  workers.push(worker);
  return worker;
}

async function command(...args: [string, ...string[]]): Promise<unknown> {
  const redis = new Redis(server.url);
  try {
    return await redis.call(...args);
  } finally {
    redis.disconnect();
  }
}

const until = (condition: () => unknown, timeout = 20_000) => vi.waitUntil(condition, { timeout, interval: 20 });

describe('queues', () => {
  it('passes a job to its handler once, even if it was enqueued several times while it waited', async () => {
    const runId = randomUUID();
    for (let i = 0; i < 3; i++) await queue.enqueue('run-chunk', { runId, no: 1, fence: 0 });
    expect((await queue.counts()).scoring.waiting).toBe(1);
    const seen: unknown[] = [];
    work({ 'run-chunk': async (payload) => ({ seen: seen.push(payload) }) });
    await until(() => seen.length > 0);
    expect(seen).toEqual([{ runId, no: 1, fence: 0 }]);
  });

  it('opens a class once for concurrent first calls, and again if that failed', async () => {
    const own = await createQueue({ url: server.url, log: silentLog, prefix: '{own}' });
    const runIds = Array.from({ length: 8 }, () => randomUUID());
    const enqueueAll = () => Promise.all(runIds.map((runId) => own.enqueue('plan-run', { runId })));
    try {
      process.kill(server.pid, 'SIGSTOP');
      expect(await enqueueAll()).toEqual(runIds.map(() => false));
      process.kill(server.pid, 'SIGCONT');
      // Uses another class, so that no call uses the queue of the first class meanwhile.
      await until(() => own.enqueue('load-generation', { generationId: randomUUID() }));
      await command('CONFIG', 'RESETSTAT');
      expect(await enqueueAll()).toEqual(runIds.map(() => true));
      // BullMQ sends this command each time it opens a queue, and ioredis once for this connection.
      const [, asked] = /cmdstat_info:calls=(\d+)/.exec(String(await command('INFO', 'commandstats'))) ?? [];
      expect(Number(asked)).toBe(2);
    } finally {
      process.kill(server.pid, 'SIGCONT');
      await own.close();
      await command('FLUSHALL');
    }
  });

  it('accepts a job with the same key after the first has ended, and ignores none silently', async () => {
    const generationId = randomUUID();
    let done = 0;
    work({ 'load-generation': async () => ({ done: ++done }) });
    for (const expected of [1, 2, 3]) {
      await queue.enqueue('load-generation', { generationId });
      await until(() => done === expected);
      await until(async () => (await queue.counts()).loading.active === 0);
    }
  });

  it('retries temporary errors, and fails at once for permanent ones', async () => {
    const tried = { passing: 0, hopeless: 0 };
    work({
      'plan-run': async () => {
        if (++tried.passing < 2) throw new TandemError('unavailable', 'The database does not answer.');
        return {};
      },
      'publish-run': async () => {
        tried.hopeless++;
        throw new TandemError('unknown_run', 'There is no such run.');
      },
    });
    await queue.enqueue('plan-run', { runId: randomUUID() });
    await queue.enqueue('publish-run', { runId: randomUUID() });
    await until(() => tried.passing === 2);
    await until(async () => (await queue.counts()).publishing.failed > 0);
    expect(tried.hopeless).toBe(1);
  });

  it('continues after a FLUSHALL when the same work is enqueued again', async () => {
    const seen: number[] = [];
    const runId = randomUUID();
    await queue.enqueue('run-chunk', { runId, no: 1, fence: 0 });
    await command('FLUSHALL');
    work({ 'run-chunk': async ({ no }) => ({ seen: seen.push(no) }) });
    await queue.enqueue('run-chunk', { runId, no: 1, fence: 0 }, { runId, no: 2, fence: 0 });
    await until(() => seen.length === 2);
    await command('FLUSHALL');
    await queue.enqueue('run-chunk', { runId, no: 1, fence: 0 });
    await until(() => seen.length === 3);
  });

  it('resumes automatically after Redis was killed and away for a while, and loses no job under way', async () => {
    const ended: number[] = [];
    const gate = Promise.withResolvers<void>();
    const worker = work({
      'run-chunk': async ({ no }) => {
        if (no === 1) await gate.promise;
        return { ended: ended.push(no) };
      },
    });
    const runId = randomUUID();
    await queue.enqueue('run-chunk', { runId, no: 1, fence: 0 });
    await until(() => worker.running() === 1);
    const { port } = server;
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    const outage = performance.now();
    // Measured relative to another timer of this process, which is equally late on a busy machine.
    const refused = queue.enqueue('run-chunk', { runId, no: 2, fence: 0 });
    expect(await Promise.race([refused, pause(2_500, 'too late')])).toBe(false);
    await until(() => performance.now() - outage > Number(process.env.TEST_OUTAGE_MS ?? 2_000), 60_000);
    server = await start(port);
    await until(() => queue.enqueue('run-chunk', { runId, no: 2, fence: 0 }), 60_000);
    await until(() => ended.includes(2), 60_000);
    gate.resolve();
    await until(() => ended.length === 2);
    expect(ended).toEqual([2, 1]);
  }, 90_000);

  it('is reported dead if work waits and none is taken', async () => {
    const why = Promise.withResolvers<string>();
    work({}, { idleMs: 600, onDead: why.resolve });
    await queue.enqueue('load-generation', { generationId: randomUUID() });
    await until(async () => (await queue.counts()).loading.waiting === 0);
    // BullMQ's rate limit stops the worker without the knowledge of this process, like a worker that hangs.
    await command('HSET', '{tandem}:loading:meta', 'paused', '1');
    await until(async () => {
      await queue.enqueue('load-generation', { generationId: randomUUID() });
      return (await queue.counts()).loading.waiting > 0;
    });
    expect(await why.promise).toMatch('loading jobs wait');
    await command('FLUSHALL');
  });

  it('takes no job while it is on hold, is not reported dead, and resumes afterwards', async () => {
    const dead: string[] = [];
    const seen: string[] = [];
    const worker = work(
      { 'plan-run': async ({ runId }) => ({ seen: seen.push(runId) }) },
      { idleMs: 4_000, onDead: (why) => void dead.push(why) },
    );
    worker.hold(true);
    // BullMQ still delivers a job that it was already waiting for.
    const runIds: string[] = [];
    await until(async () => {
      runIds.push(randomUUID());
      await queue.enqueue('plan-run', { runId: runIds.at(-1) ?? '' });
      return (await queue.counts()).planning.waiting > 2;
    });
    const held = performance.now();
    await until(() => performance.now() - held > 5_000);
    expect([dead, (await queue.counts()).planning.waiting > 2]).toEqual([[], true]);
    worker.hold(false);
    await until(() => seen.length === runIds.length);
    expect(dead).toEqual([]);
  });

  it('drains on close: a running job ends, and a waiting job stays in the queue', async () => {
    const gate = Promise.withResolvers<void>();
    let ended = 0;
    const worker = work({
      'load-generation': async () => {
        await gate.promise;
        return { ended: ++ended };
      },
    });
    await queue.enqueue('load-generation', { generationId: randomUUID() }, { generationId: randomUUID() });
    await until(() => worker.running() === 1);
    const closed = worker.close(10_000);
    gate.resolve();
    expect(await closed).toBe(true);
    expect(ended).toBe(1);
    expect((await queue.counts()).loading.waiting).toBe(1);
    await command('FLUSHALL');
  });

  it('does not wait forever for a job that hangs', async () => {
    const worker = work({ 'load-generation': () => new Promise(() => undefined) });
    await queue.enqueue('load-generation', { generationId: randomUUID() });
    await until(() => worker.running() === 1);
    expect(await worker.close(100)).toBe(false);
    await command('FLUSHALL');
  });

  it('does not wait for a blocked connection if no job runs', async () => {
    let done = 0;
    const worker = work({ 'load-generation': async () => ({ done: ++done }) });
    await queue.enqueue('load-generation', { generationId: randomUUID() });
    await until(() => done === 1 && worker.running() === 0);
    process.kill(server.pid, 'SIGSTOP');
    try {
      // The drain limit is longer than the test.
      expect(await worker.close(3_600_000)).toBe(true);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
  });

  it('rejects a Redis that may evict keys, with the remedy', async () => {
    await command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const refused = createQueue({ url: server.url, log: silentLog });
    await expect(refused).rejects.toMatchObject({ code: 'config_invalid', field: 'QUEUE_REDIS_URL' });
    await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  it('rejects a payload that does not match the job', async () => {
    await expect(queue.enqueue('plan-run', { runId: 'no uuid' })).rejects.toThrow('runId');
  });
});
