/**
 * Several servers in one address: one Postgres behind two proxies, each of which may reject connections or stay silent.
 */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { startProxy } from '../stalling-proxy.fixture.ts';
import { createPool, query, transaction } from './database.ts';
import { serverAddresses } from './primary-pool.ts';

type Proxy = Awaited<ReturnType<typeof startProxy>>;

let proxies: Proxy[];
let pool: ReturnType<typeof createPool>;
beforeEach(async () => {
  const server = new URL(inject('databaseUrl'));
  proxies = [await startProxy(server), await startProxy(server)];
  pool = openPool();
});
afterEach(async () => {
  for (const proxy of proxies) proxy.close();
  await pool.end();
});

/** Opens the pool of a test with this much time for a connection, which may include the wait for a free one. */
const openPool = (connectTimeoutMs = 20_000) =>
  createPool({ url: addressOf(proxies), max: 1, applicationName: 'several', connectTimeoutMs });

/** Opens the pool again with a time limit that the test waits for. */
async function openImpatientPool(): Promise<void> {
  await pool.end();
  pool = openPool(4_000);
}

function addressOf(ways: readonly Proxy[]): string {
  const [first, ...others] = ways.map(({ url }) => new URL(url));
  const several = [first, ...others].map((url) => url?.host).join(',');
  return `${first?.href.replace(first.host, several)}?target_session_attrs=read-write`;
}

const ask = () => query<{ one: number }>(pool, { text: 'select 1 as one' });
const connections = () => proxies.map((proxy) => proxy.connections());

describe('a pool of several servers', () => {
  it('uses the first server, or the next if it rejects connections, and stays with the reached server', async () => {
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(connections()).toEqual([1, 0]);
    proxies[0]?.close();
    // The connection is broken, which its statement detects. The next statement uses another server.
    await ask().catch(() => {});
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(connections()).toEqual([0, 1]);
    expect(await transaction(pool, (db) => query(db, { text: 'select 1 as one' }))).toEqual([{ one: 1 }]);
    // The driver's callback form.
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('uses the next server if one is reached but stays silent', async () => {
    await openImpatientPool();
    proxies[0]?.stall(true);
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(proxies[1]?.connections()).toBe(1);
  });

  it('names each server and why it was not used, if none was', async () => {
    for (const proxy of proxies) proxy.close();
    await expect(ask()).rejects.toMatchObject({
      code: 'unavailable',
      retryAfter: 1,
      detail: expect.stringMatching(/^no primary among the servers: 127\.0\.0\.1:\d+: connect ECONNREFUSED .*; 127/),
    });
  });

  it('does not name servers if all connections are busy or the statement is invalid', async () => {
    await openImpatientPool();
    const busy = await pool.connect();
    await expect(ask()).rejects.toMatchObject({ detail: 'timeout exceeded when trying to connect' });
    busy.release();
    await expect(query(pool, { text: 'select wrong' })).rejects.toMatchObject({ code: '42703' });
    expect(connections()).toEqual([1, 0]);
  });
});

describe('an address', () => {
  it('of one server is not changed', () => {
    const url = 'postgres://user:a,b@host:5432/db?options=-c%20work_mem=1MB,2';
    expect(serverAddresses(url, 'DATABASE_URL')).toEqual([url]);
  });

  it('of several servers shares login, database and parameters', () => {
    expect(serverAddresses('postgres://u:p,@a,b:5433,[::1]:5434/db?sslmode=require', 'DATABASE_URL')).toEqual([
      'postgres://u:p,@a/db?sslmode=require',
      'postgres://u:p,@b:5433/db?sslmode=require',
      'postgres://u:p,@[::1]:5434/db?sslmode=require',
    ]);
  });

  it.each([
    ['postgres://a/db?target_session_attrs=any', /asks for target_session_attrs=any; only the primary/],
    ['postgres://a,b/db?target_session_attrs=any', /asks for target_session_attrs=any; only the primary/],
    ['postgres://a,b:port/db', /has "b:port" in place of a server/],
    ['postgres://a,,b/db', /has "" in place of a server/],
  ])('%s is rejected, with the name of the variable', (url, message) => {
    expect(() => serverAddresses(url, 'FEATURES_DATABASE_URL')).toThrow(message);
    expect(() => serverAddresses(url, 'FEATURES_DATABASE_URL')).toThrow(/^FEATURES_DATABASE_URL /);
  });
});
