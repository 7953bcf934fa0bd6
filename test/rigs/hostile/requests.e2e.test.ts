/**
 * Sends every file of the corpus to an API process on real Postgres and Redis. The answers must match the file, stored
 * data must not change unless allowed, and the service must stay ready.
 */
import { rm } from 'node:fs/promises';
import { createClient } from '@tandem/client/create-client';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { certified } from '../../e2e/certified.fixture.ts';
import { COUNT } from '../../e2e/counts.fixture.ts';
import type { LogLine } from '../../e2e/program.fixture.ts';
import { makeFolder, type OwnRedis, ownRedis } from '../../e2e/servers.fixture.ts';
import { until } from '../../e2e/until.fixture.ts';
import { type HostileRequest, readCorpus } from './corpus.ts';
import { replay } from './replay.ts';
import { type HostileKey, type HostileService, startService } from './service.ts';
import { storedState } from './stored-state.ts';
import { INSIDES } from './verdict.ts';

const READY_WITHIN_MS = 60_000;
/** The most times that a request is sent while a busy machine refuses it. */
const ATTEMPTS = 20;

const corpus = readCorpus();
const slow = corpus.filter(({ name }) => name.startsWith('slow/'));
const quick = corpus.filter(({ name }) => !name.startsWith('slow/'));

interface World {
  readonly service: HostileService;
  readonly database: TestDatabase;
  readonly redis: OwnRedis & { close(): Promise<void> };
  readonly folder: string;
}
const KEY_TYPES = ['int8', 'text'] as const;
const worlds = new Map<HostileKey, World>();

async function createWorld(keyType: HostileKey): Promise<World> {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const service = await startService({ databaseUrl: database.url, redisUrl: redis.url }, keyType);
  return { service, database, redis, folder };
}

beforeAll(async () => {
  const started = await Promise.allSettled(
    KEY_TYPES.map(async (keyType) => worlds.set(keyType, await createWorld(keyType))),
  );
  for (const one of started) if (one.status === 'rejected') throw one.reason;
});

afterAll(async () => {
  for (const { service, database, redis, folder } of worlds.values()) {
    await service.close();
    await database.drop();
    await redis.close();
    await rm(folder, { recursive: true, force: true });
  }
});

function serviceFor({ users }: Pick<HostileRequest, 'users'>): HostileService {
  const world = worlds.get(users);
  if (!world) throw new Error(`no service with ids of type ${users} was started`);
  return world.service;
}

/** Expects that the service becomes ready. On a busy machine a part may miss its deadline once. */
async function expectAlive({ url, api }: HostileService): Promise<void> {
  expect(api.hasEnded()).toBe(false);
  await until('the service is ready', async () => (await fetch(`${url}/readyz`)).status === 200, READY_WITHIN_MS);
}

/** Sends a file. Returns its faults. A busy machine may refuse a request with 503, and the file is then sent again. */
async function replayInTime(request: HostileRequest, service: HostileService): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt++) {
    const faults = await replay(request, service);
    const isRefused = faults.some((fault) => /\banswered 503\b/.test(fault));
    if (!isRefused || attempt === ATTEMPTS) return faults;
    await expectAlive(service);
  }
}

describe('a hostile request', () => {
  /** The stored state after the previous request, for each service. */
  const states = new Map<HostileService, Readonly<Record<string, string>>>();

  it.each(quick.map((request) => [request.name, request] as const))('%s', async (_, request) => {
    const service = serviceFor(request);
    const before = states.get(service) ?? (await storedState(service.pool));
    states.delete(service);
    expect(await replayInTime(request, service)).toEqual([]);
    const after = await storedState(service.pool);
    if (!request.mayChange) expect(after).toEqual(before);
    states.set(service, after);
    await expectAlive(service);
  });
});

describe('a slow one', () => {
  it('is ended, and changes nothing', async () => {
    const service = serviceFor({ users: 'int8' });
    const before = await storedState(service.pool);
    const found = await Promise.all(
      slow.map(async (request) => [request.name, await replay(request, service)] as const),
    );
    expect(found.filter(([, faults]) => faults.length > 0)).toEqual([]);
    expect(await storedState(service.pool)).toEqual(before);
    await expectAlive(service);
  });
});

describe('a thousand of the same event at once', () => {
  it('are one accepted event and 999 duplicates with the same version', async () => {
    // On a busy machine a request may get 503, because no connection to Postgres is free in time. A thousand callers
    // retry it, each with its own retry budget.
    // An attempt that timed out could have been accepted, and its retry would be a duplicate.
    const limits = { timeoutMs: 60_000, retryForMs: 60_000 };
    const { url } = serviceFor({ users: 'int8' });
    const event = { id: 'storm', type: 'changed', subject: '19' };
    const callers = Array.from({ length: 1_000 }, () => createClient({ url, source: '/hostile', ...limits }));
    const results = (await Promise.all(callers.map((client) => client.sendEvents([event])))).flat();
    expect(results).toHaveLength(1_000);
    expect(results.filter(({ status }) => status === 'accepted')).toHaveLength(1);
    expect(results.filter(({ status }) => status === 'duplicate')).toHaveLength(999);
    expect(new Set(results.map(({ contextVersion }) => contextVersion)).size).toBe(1);
  });
});

describe('after all of them', () => {
  it('the log has no stack, no error, and no line that a request wrote', () => {
    for (const { service } of worlds.values()) {
      expect(service.api.lines.length).toBeGreaterThan(10);
      // The log has a stack for a failure of the service, but not for a mistake of a caller.
      const isOurs = ({ status }: LogLine) => typeof status === 'number' && status >= 500;
      const wrong = service.api.lines.filter(
        (line) =>
          line.level === 'error' || line.event === 'forged' || (!isOurs(line) && INSIDES.test(JSON.stringify(line))),
      );
      expect(wrong).toEqual([]);
    }
  });

  it('the predictions of the users are unchanged', async () => {
    const { pool, url } = serviceFor({ users: 'int8' });
    expect((await pool.query('select count(*)::int as users from counts')).rows).toEqual([{ users: 20 }]);
    const client = createClient({ url, retryForMs: 0 });
    const { answer } = await certified(() => client.predict(COUNT, '2', { onlyIfCached: true }));
    expect(answer).toMatchObject({ userId: '2', prediction: { score: 0 }, source: 'batch' });
  });
});
