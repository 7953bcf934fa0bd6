/** Several servers in one address: here one Postgres behind two proxies, so that either way may be refused or silent. */
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
  pool = createPool({ url: addressOf(proxies), max: 1, applicationName: 'several', connectTimeoutMs: 500 });
});
afterEach(async () => {
  for (const proxy of proxies) proxy.close();
  await pool.end();
});

function addressOf(ways: readonly Proxy[]): string {
  const [first, ...others] = ways.map(({ url }) => new URL(url));
  const several = [first, ...others].map((url) => url?.host).join(',');
  return `${first?.href.replace(first.host, several)}?target_session_attrs=read-write`;
}

const ask = () => query<{ one: number }>(pool, { text: 'select 1 as one' });
const connections = () => proxies.map((proxy) => proxy.connections());

describe('a pool of several servers', () => {
  it('takes the first server, and the next if that refuses; it stays with the server that it reached', async () => {
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(connections()).toEqual([1, 0]);
    proxies[0]?.close();
    // The connection is broken by now, which the statement on it tells; the next one asks elsewhere.
    await ask().catch(() => {});
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(connections()).toEqual([0, 1]);
    expect(await transaction(pool, (db) => query(db, { text: 'select 1 as one' }))).toEqual([{ one: 1 }]);
    // The driver's own way to ask, by a callback.
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('takes the next where a server is reached and says nothing', async () => {
    proxies[0]?.stall(true);
    expect(await ask()).toEqual([{ one: 1 }]);
    expect(proxies[1]?.connections()).toBe(1);
  });

  it('names each server, and why it was not taken, where none was', async () => {
    for (const proxy of proxies) proxy.close();
    await expect(ask()).rejects.toMatchObject({
      code: 'unavailable',
      retryAfter: 1,
      detail: expect.stringMatching(/^no primary among the servers: 127\.0\.0\.1:\d+: connect ECONNREFUSED .*; 127/),
    });
  });

  it('says nothing of the servers where all connections are busy, or what was asked is wrong', async () => {
    const busy = await pool.connect();
    await expect(ask()).rejects.toMatchObject({ detail: 'timeout exceeded when trying to connect' });
    busy.release();
    await expect(query(pool, { text: 'select wrong' })).rejects.toMatchObject({ code: '42703' });
    expect(connections()).toEqual([1, 0]);
  });
});

describe('an address', () => {
  it('of one server is left as it is', () => {
    const url = 'postgres://user:a,b@host:5432/db?options=-c%20work_mem=1MB,2';
    expect(serverAddresses(url, 'DATABASE_URL')).toEqual([url]);
  });

  it('of several has login, database and parameters in common', () => {
    expect(serverAddresses('postgres://u:p,@a,b:5433,[::1]:5434/db?sslmode=require', 'DATABASE_URL')).toEqual([
      'postgres://u:p,@a/db?sslmode=require',
      'postgres://u:p,@b:5433/db?sslmode=require',
      'postgres://u:p,@[::1]:5434/db?sslmode=require',
    ]);
  });

  it.each([
    ['postgres://a/db?target_session_attrs=any', /asks for target_session_attrs=any; only the primary/],
    ['postgres://a,b/db?target_session_attrs=any', /asks for target_session_attrs=any; only the primary/],
    ['postgres://a,b:port/db', /names the server "b:port"/],
    ['postgres://a,,b/db', /names the server ""/],
  ])('%s is refused, with the variable that holds it', (url, message) => {
    expect(() => serverAddresses(url, 'FEATURES_DATABASE_URL')).toThrow(message);
    expect(() => serverAddresses(url, 'FEATURES_DATABASE_URL')).toThrow(/^FEATURES_DATABASE_URL /);
  });
});
