/**
 * Real servers for this folder's tests: a shared one with a key prefix for each test, and separate ones that a test may
 * kill.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Assignment } from '@tandem/freshness/certificate';
import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { startRedis } from '@tandem/local-servers/redis';
import { createServerConnection, type ServerConnection } from './connection.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
  }
}

export const HISTORY = '0123456789abcdef';
export const MODEL = 'a1'.repeat(16);
export const STARTED_AT = Date.UTC(2026, 0, 1);

export interface OwnRedis {
  readonly url: string;
  readonly pid: number;
  /** Starts the server again after SIGKILL, with the same data and port. */
  killAndRestart(): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  remove(): Promise<void>;
}

/** Starts a separate server, which the test may kill, stop and flush. */
export async function startOwnRedis(): Promise<OwnRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-online-store-'));
  const start = () =>
    startRedis({ dataDir: join(folder, 'redis'), serverDir: join(tmpdir(), 'tandem-test-redis'), log: () => {} });
  let server = await start();
  async function kill() {
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
  }
  async function restart() {
    server = await start();
  }
  return {
    url: server.url,
    get pid() {
      return server.pid;
    },
    kill,
    restart,
    async killAndRestart() {
      await kill();
      await restart();
    },
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function randomPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/**
 * Limits of a connection that a busy machine does not reach. Without them, a slow reply of the shared server fails a
 * test after 50 ms.
 */
export const PATIENT_LIMITS = { commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 };

/**
 * Opens a connection, and records the events of its log.
 * @param limits the time limits; `{}` for the product's, in tests of the limits themselves
 */
export async function connectTo(url: string, limits: Partial<typeof PATIENT_LIMITS> = PATIENT_LIMITS) {
  const events: string[] = [];
  const connection = createServerConnection({ url, log: (event) => events.push(event), ...limits });
  await connection.whenReady(20_000);
  return { connection, events };
}

export async function deleteKeys(connection: ServerConnection, prefix: string): Promise<void> {
  const keys = await connection.redis.keys(`${prefix}*`);
  if (keys.length > 0) await connection.redis.unlink(...keys);
}

export function assignmentOf(generation: { id: string; buckets: number; startedAt: number } | null): Assignment {
  return {
    predictor: 'repurchase',
    arm: 'stable',
    modelVersionId: MODEL,
    modelNumber: 1,
    generation: generation && { ...generation, number: 1, isOutdated: false, base: null },
    overlayFloor: 0,
    revision: 1,
    expiresFrom: null,
  };
}

export function overlayEntry(userId: string, changes: Partial<OverlayEntry> = {}): OverlayEntry {
  return {
    predictor: 'repurchase',
    userId,
    modelVersionId: MODEL,
    history: HISTORY,
    overlayFloor: 0,
    contextVersion: 1,
    source: 'live',
    computedAt: STARTED_AT,
    outputs: Buffer.from([1, 2, 3, 4]),
    ...changes,
  };
}
