/** Tests of wrong addresses of real servers: `tandem doctor` names the server that it found and the right address. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { findFreePort } from '@tandem/local-servers/ports';
import { startSecuredRedis } from '@tandem/testing/redis-secured';
import { createRedisServers, type RedisServers } from '@tandem/testing/redis-servers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../cli.fixture.ts';
import { examineRedis } from './examine-stores.ts';

let servers: RedisServers;
let secured: Awaited<ReturnType<typeof startSecuredRedis>>;
/**
 * The login and address of a plain server, of a Sentinel that watches it as `main`, and of a port without a listener.
 */
let plain: string;
let sentinel: string;
let nowhere: string;
beforeAll(async () => {
  servers = await createRedisServers();
  const server = await servers.start({ 'maxmemory-policy': 'noeviction' });
  const monitor = { 'sentinel monitor': `main 127.0.0.1 ${server.port} 1` };
  const watch = await servers.start(monitor, ['--sentinel']);
  await watch.send('sentinel', 'SET', 'main', 'auth-pass', servers.password);
  const at = (port: number) => `:${servers.password}@127.0.0.1:${port}`;
  [plain, sentinel, nowhere] = [at(server.port), at(watch.port), at(await findFreePort())];
  secured = await startSecuredRedis();
});
afterAll(async () => {
  await servers.stop();
  await secured?.stop();
});

const asked = () => `?sentinelPassword=${servers.password}`;

test.each([
  ['rediss:// at a plain port', () => `rediss://${plain}`, /does not speak TLS/, /write redis instead of rediss/],
  ['redis:// at a TLS port', () => secured.url.replace('rediss', 'redis'), /accepts only TLS/, /write rediss instead/],
  [
    'redis:// at a Sentinel',
    () => `redis://${sentinel}`,
    /is a Sentinel.*: main$/,
    /write redis\+sentinel:\/\/.*\/main/,
  ],
  ['redis+cluster:// at a server', () => `redis+cluster://${plain}`, /is a single server/, /write redis:\/\/ instead/],
  [
    'a Sentinel name that is unknown',
    () => `redis+sentinel://${sentinel}/nope${asked()}`,
    /no primary "nope".*: main$/,
    /correct the name/,
  ],
  ['redis+sentinel:// at a server', () => `redis+sentinel://${plain}/main${asked()}`, /not a Sentinel/, /26379/],
  ['a Sentinel without its password', () => `redis+sentinel://${sentinel}/main`, /\(NOAUTH\)/, /sentinelPassword=/],
  [
    'a port where nothing listens',
    () => `redis+cluster://${nowhere}`,
    /nothing answers at 127.*REFUSED/,
    /host and port/,
  ],
])('%s', async (_, addressOf, problem, remedy) => {
  // A short time limit suffices, because these addresses never connect, and the problem is found afterwards.
  const found = await onlyFinding(addressOf(), 300);
  expect(found).toMatchObject({ level: 'error', text: expect.stringMatching(problem) });
  expect(found?.remedy).toMatch(remedy);
});

test('rediss:// at an unknown certificate', async () => {
  // The handshake must fail within the time limit.
  const found = await onlyFinding(secured.url, 5_000);
  expect(found).toMatchObject({ level: 'error', text: expect.stringContaining('self-signed certificate') });
  expect(found?.remedy).toContain('NODE_EXTRA_CA_CERTS');
});

/** Returns the only finding about an address, which must not contain the password. */
async function onlyFinding(address: string, withinMs: number) {
  const [found, ...others] = await examineRedis(address, address, withinMs);
  expect(others).toEqual([]);
  expect(JSON.stringify(found)).not.toContain(servers.password);
  return found;
}

test('one of several Sentinels that does not answer is no error, and only the findings are printed', async () => {
  const cwd = await mkdtemp(`${tmpdir()}/tandem-doctor-`);
  const dead = nowhere.slice(nowhere.indexOf('@') + 1);
  const url = `redis+sentinel://${sentinel.replace('@', `@${dead},`)}/main${asked()}`;
  const { out, err } = await runCli(['doctor'], { cwd, env: { REDIS_URL: url, PORT: String(await findFreePort()) } });
  expect(out).toMatch(/^ok +redis +Redis/m);
  expect(err).toBe('');
  await rm(cwd, { recursive: true });
});
