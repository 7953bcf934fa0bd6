/**
 * Compares the connections of each pool in docs/postgres-connections.md with those that Postgres counts in exhausted
 * pools.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { directRoom } from '@tandem/offline-store/processes/connection-room';
import { openRegister } from '@tandem/offline-store/processes/processes';
import { createPool, query } from '@tandem/offline-store/sql/database';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { openPools as openApiPools } from '../../apps/api/wiring/open-pools.ts';
import { openPools as openWorkerPools } from '../../apps/worker/open-pools.ts';
import { root } from '../architecture/source-tree.ts';

type Pool = ReturnType<typeof createPool>;

const page = readFileSync(join(root, 'docs/postgres-connections.md'), 'utf8');
const documented = new Map(
  [...page.matchAll(/^\| `(tandem-(?:api|worker)[a-z-]*)` +\| (\d+) +\|/gm)].map(([, name = '', n]) => [
    name,
    Number(n),
  ]),
);
const sum = (kind: string) =>
  [...documented].filter(([name]) => name.startsWith(`tandem-${kind}`)).reduce((total, [, n]) => total + n, 0);

let database: TestDatabase;
let observer: Pool;
beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  observer = createPool({ url: database.url, applicationName: 'connections-test', max: 1 });
});
afterAll(async () => {
  await observer.end();
  await database.drop();
});

/** Requests more connections from each pool than it may open, counts the opened ones, and releases all. */
async function countExhausted(pools: readonly Pool[]): Promise<ReadonlyMap<string, number>> {
  const most = pools.reduce((total, pool) => total + (pool.options.max ?? 0), 0);
  let isOver = false;
  /** Requests a connection until there is one. On a busy machine a request may exceed its time limit. */
  async function hold(pool: Pool) {
    while (!isOver) {
      const client = await pool.connect().catch(() => null);
      if (client) return client;
    }
    return null;
  }
  const asked = pools.flatMap((pool) => Array.from({ length: (pool.options.max ?? 0) + 2 }, () => hold(pool)));
  const count = () =>
    query<{ name: string; n: number }>(observer, {
      text: `select application_name as name, count(*) as n from pg_stat_activity
        where datname = current_database() and application_name ~ '^tandem-(api|worker)' group by 1`,
    });
  const found = new Map<string, number>();
  const look = async () => {
    found.clear();
    for (const { name, n } of await count()) found.set(name, n);
    return [...found.values()].reduce((total, n) => total + n, 0);
  };
  await expect.poll(look).toBe(most);
  isOver = true;
  await Promise.all(asked.map((one) => one.then((client) => client?.release())));
  return found;
}

const isPool = (one: unknown): one is Pool => typeof one === 'object' && one !== null && 'totalCount' in one;
const ofKind = (kind: string, except?: string) =>
  new Map([...documented].filter(([name]) => name.startsWith(`tandem-${kind}`) && name !== except));

test('an API opens the connections of the table, and no more for certificates', async () => {
  const pools = openApiPools({ url: database.url });
  expect(await countExhausted(Object.values(pools).filter(isPool))).toEqual(ofKind('api', 'tandem-api-authority'));
  await pools.close();
  expect(pools.room.connections).toBe(sum('api'));
  const authority = createAuthority(database.url, { applicationName: 'tandem-api-authority', timeoutMs: 20_000 });
  const certify = () => vi.waitFor(() => authority.certify(['1']), { timeout: 60_000 });
  await Promise.all(Array.from({ length: 20 }, certify));
  const [{ n = 0 } = {}] = await query<{ n: number }>(observer, {
    text: `select count(*) as n from pg_stat_activity where application_name = 'tandem-api-authority'
      and datname = current_database()`,
  });
  await authority.close();
  expect(n).toBeGreaterThan(0);
  expect(n).toBeLessThanOrEqual(documented.get('tandem-api-authority') ?? 0);
});

const ENVIRONMENT = {
  database: { url: '', featuresUrl: '' },
  worker: { chunkConcurrency: 3 },
  workerProcess: { refreshShare: 0.25 },
};
const workerPools = (connections?: number, refreshShare = 0.25) => {
  const addresses = { url: database.url, featuresUrl: database.url };
  return openWorkerPools({
    ...ENVIRONMENT,
    workerProcess: { refreshShare },
    database: connections === undefined ? addresses : { ...addresses, connections },
  });
};

test('a worker opens the connections of the table', async () => {
  const pools = workerPools();
  expect(await countExhausted(Object.values(pools).filter(isPool))).toEqual(ofKind('worker'));
  await pools.close();
  expect(pools.room.connections).toBe(sum('worker'));
});

test.each([16, 40])('DATABASE_CONNECTIONS=%i bounds an API', async (most) => {
  const pools = openApiPools({ url: database.url }, most);
  const counted = await countExhausted(Object.values(pools).filter(isPool));
  await pools.close();
  const certificates = documented.get('tandem-api-authority') ?? 0;
  expect([...counted.values()].reduce((total, n) => total + n, certificates)).toBe(most);
});

test.each([25, 33, 53])(
  'DATABASE_CONNECTIONS=%i bounds a worker, which then runs fewer steps at once',
  async (most) => {
    const pools = workerPools(most);
    const counted = await countExhausted(Object.values(pools).filter(isPool));
    await pools.close();
    expect([...counted.values()].reduce((total, n) => total + n, 0)).toBeLessThanOrEqual(most);
    expect(pools.steps).toBe((most - 21) / 4 > 8 ? 8 : Math.floor((most - 21) / 4));
  },
);

test('a worker without re-scoring opens three fewer', async () => {
  const pools = workerPools(undefined, 0);
  expect([pools.pool.options.max, pools.features.options.max]).toEqual([20, 13]);
  await pools.close();
  await workerPools(22, 0).close();
});

test('too few connections for the chunks and the re-scoring of a worker are rejected', () => {
  expect(() => workerPools(24)).toThrow(
    expect.objectContaining({ code: 'config_invalid', field: 'DATABASE_CONNECTIONS' }),
  );
});

describe.each([
  ['a pooler', { api: 5, worker: 1 }, {}],
  ['a pooler, feature statements past it', { api: 14, worker: 15 }, { featuresUrl: 'direct' }],
  ['no pooler, feature statements through one', { api: 15, worker: 23 }, { url: 'direct' }],
])('behind %s', (_, connections, past) => {
  const paths = () => {
    const pooler = 'postgres://u:p@127.0.0.1:1/none';
    const given = { url: pooler, featuresUrl: pooler, directUrl: 'direct', ...past };
    const urls = Object.entries(given).map(([name, url]) => [name, url === 'direct' ? database.url : url]);
    return Object.fromEntries(urls) as typeof given;
  };

  test.each(['api', 'worker'] as const)(
    'only connections that bypass the pooler count as connections of the %s',
    async (kind) => {
      const pools = kind === 'api' ? openApiPools(paths()) : openWorkerPools({ ...ENVIRONMENT, database: paths() });
      expect(pools.room.connections).toBe(connections[kind]);
      const past = Object.values(pools)
        .filter(isPool)
        .filter(({ options }) => options.application_name && pools.room.direct.test(options.application_name));
      const counted = await countExhausted(past);
      await pools.close();
      const certificates = kind === 'api' ? (documented.get('tandem-api-authority') ?? 0) : 0;
      expect([...counted.values()].reduce((total, n) => total + n, certificates)).toBe(connections[kind]);
    },
  );

  test('Postgres and Node select the same names by the pattern of direct connections', async () => {
    const { direct } = directRoom(paths(), []);
    const [found] = await query<{ names: string[] | null }>(observer, {
      text: 'select array_agg(name order by no) as names from unnest($1::text[]) with ordinality n(name, no) where name !~ $2',
      values: [[...documented.keys()], direct.source],
    });
    expect(found?.names).toEqual([...documented.keys()].filter((name) => !direct.test(name)));
  });
});

/** Returns the exact number of connections that Postgres can still accept. */
async function roomLeft(): Promise<number> {
  const [{ left = 0 } = {}] = await query<{ left: number }>(observer, {
    text: `select current_setting('max_connections')::int - 3 - (select count(*) from pg_stat_activity
      where datid is not null and usesysid is not null) as left`,
  });
  return left;
}

test('a process for which Postgres has too few connections is rejected and leaves no row, while other processes run', async () => {
  // One process fits and two do not, also if other tests open or close connections on this server.
  const most = Math.ceil((await roomLeft()) * 0.7);
  const enter = (connections: number) =>
    openRegister(observer, 'api', '1', { connections, direct: /^tandem-/, waitMs: 0 });
  await enter(most);
  await expect(enter(most)).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'DATABASE_CONNECTIONS',
    message: expect.stringMatching(/no room for this fleet: 2 live processes may open \d+ connections/),
    remedy: expect.stringContaining('raise max_connections'),
  });
  const rows = await query(observer, { text: 'select connections from tandem.processes' });
  expect(rows).toEqual([{ connections: most }]);
  // Simulates a kill: the process counts for 5 s.
  await query(observer, { text: `update tandem.processes set seen_at = seen_at - interval '6 s'` });
  await enter(most);
});
