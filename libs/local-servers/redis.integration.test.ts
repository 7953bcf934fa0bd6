import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaveOrphan } from './killed-parent.fixture.ts';
import { readProcess } from './process-identity.ts';
import { startRedis } from './redis.ts';
import { findOnPath } from './redis-program.ts';
import type { LocalServer } from './server-process.ts';

/** A folder that is kept between runs, so that a machine without Redis unpacks a server only once. */
const serverDir = fileURLToPath(new URL('../../.tandem/redis-server', import.meta.url));

describe('startRedis', { timeout: 120_000 }, () => {
  let parent: string;
  let dataDir: string;
  let lines: string[];
  let running: LocalServer | undefined;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'tandem "redis" '));
    chmodSync(parent, 0o700);
    dataDir = join(parent, 'data');
    lines = [];
  });

  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(parent, { recursive: true, force: true });
  });

  const start = async (options: { port?: number } = {}) => {
    running = await startRedis({ dataDir, serverDir, ...options, log: (line) => void lines.push(line) });
    return running;
  };

  it('keeps data and address over a restart, evicts nothing, and is local and protected by a password', async () => {
    const first = await start();
    await withRedis(first.url, (redis) => redis.set('kept', '42'));
    await first.stop();
    expect(readProcess(first.pid)).toBeUndefined();

    const second = await start();
    expect(second.url).toBe(first.url);
    await withRedis(second.url, async (redis) => {
      expect(await redis.get('kept')).toBe('42');
      expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
      expect(await redis.config('GET', 'bind')).toEqual(['bind', '127.0.0.1']);
    });
    await expect(withRedis(second.url.replace(/:[0-9a-f]+@/, ':wrong@'), (redis) => redis.ping())).rejects.toThrow();
    for (const file of ['password', 'redis.conf']) expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  });

  it('replaces a server that a killed parent left, with its data', async () => {
    const orphan = await leaveOrphan('redis', [dataDir, serverDir], 'SIGKILL');
    await withRedis(orphan.url, (redis) => redis.set('kept', '7'));

    const taken = await start();
    expect(readProcess(orphan.pid)).toBeUndefined();
    expect(taken.url).toBe(orphan.url);
    expect(await withRedis(taken.url, (redis) => redis.get('kept'))).toBe('7');
  });

  it('finds a leftover server by its port and password if its record is lost', async () => {
    const orphan = await leaveOrphan('redis', [dataDir, serverDir], 'SIGKILL');
    rmSync(join(dataDir, 'server.json'));
    const taken = await start();
    expect(readProcess(orphan.pid)).toBeUndefined();
    expect(taken.url).toBe(orphan.url);
  });

  it('survives Ctrl-C in the terminal of its parent', async () => {
    const orphan = await leaveOrphan('redis', [dataDir, serverDir], 'SIGINT');
    expect(await withRedis(orphan.url, (redis) => redis.ping())).toBe('PONG');
    await start();
  });

  it('never ends a program with the process id of a dead server', async () => {
    await (await start()).stop();
    writeFileSync(join(dataDir, 'server.json'), JSON.stringify({ pid: process.ppid, startedAt: 'long ago' }));
    await start();
    expect(readProcess(process.ppid)).toBeDefined();
  });

  it('uses another port if another program has taken its own, but refuses a required port in use', async () => {
    const { port, stop } = await start();
    await stop();
    const stranger = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => stranger.listen(port, '127.0.0.1', resolve));
    try {
      await expect(start({ port })).rejects.toMatchObject({ code: 'port_taken' });
      expect((await start()).port).not.toBe(port);
      expect(lines.join()).toContain(`port ${port}`);
    } finally {
      stranger.close();
    }
  });

  it('skips a server on the path that is too old, and reports it', async () => {
    const old = join(parent, 'old');
    mkdirSync(old);
    writeFileSync(join(old, 'redis-server'), '#!/bin/sh\necho "Redis server v=6.0.16 sha=0"\n', { mode: 0o755 });
    const found = await findOnPath([old, join(parent, 'none')].join(delimiter), (line) => void lines.push(line));
    expect(found).toBeUndefined();
    expect(lines.join()).toMatch(/Redis 6\.0\.16 is older than 7\.0/);
  });
});

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  // A rejected login also fails the command, and the test checks the command's error.
  redis.on('error', () => undefined);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
