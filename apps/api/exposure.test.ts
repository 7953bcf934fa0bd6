import { expect, test } from 'vitest';
import { findExposure } from './exposure.ts';

const PEPPER = 'p'.repeat(32);
/** Resolves names as hosts files do, which map the machine's own name to loopback. */
const resolve = async (name: string) =>
  ({ machine: '127.0.1.1', localhost: '127.0.0.1', 'machine.example': '192.0.2.7' })[name];

const expose = (
  host: string,
  publishedOn: string,
  { mode = 'auto', hostNames = [] }: { mode?: 'auto' | 'off' | 'required'; hostNames?: readonly string[] } = {},
) =>
  findExposure(
    { http: { host, metricsPort: null }, apiKeys: { mode, pepper: PEPPER, publishedOn }, hostNames },
    resolve,
  );

test.each([
  ['127.0.0.1', '127.0.0.1', true],
  ['machine', 'machine', true],
  ['localhost', 'localhost', true],
  ['0.0.0.0', '127.0.0.1', true],
  ['0.0.0.0', 'localhost', true],
  ['0.0.0.0', '0.0.0.0', false],
  ['0.0.0.0', 'machine', false],
  ['127.0.0.1', 'machine', false],
  ['127.0.0.1', '192.0.2.7', false],
  ['machine.example', 'machine.example', false],
] as const)('HOST=%s PUBLISHED_ON=%s: only this machine reaches the API: %s', async (host, publishedOn, isLocal) => {
  expect(await expose(host, publishedOn)).toMatchObject({ isLocal, keys: isLocal ? null : { pepper: PEPPER } });
});

test('with keys off and a proxy on loopback, the API accepts the names of loopback and the configured names', async () => {
  const { isOurHost, servesMetrics } = await expose('0.0.0.0', '127.0.0.1', { hostNames: ['api', 'Tandem.internal'] });
  const ours = ['localhost:8080', '127.0.0.1:49160', '[::1]', 'api:8080', 'tandem.internal'];
  expect(ours.filter((host) => !isOurHost(host))).toEqual([]);
  const foreign = ['evil.example', 'evil.example:8080', 'api.evil.example', '192.0.2.7:8080', ''];
  expect(foreign.filter(isOurHost)).toEqual([]);
  expect(servesMetrics).toBe(false);
});

test('accepts any host name if keys are required or if access is open to all clients', async () => {
  for (const [publishedOn, mode] of [
    ['127.0.0.1', 'required'],
    ['0.0.0.0', 'auto'],
    ['0.0.0.0', 'off'],
  ] as const) {
    const { isOurHost, isMetricsHost } = await expose('0.0.0.0', publishedOn, { mode });
    expect([mode, isOurHost('api.example'), isMetricsHost('172.18.0.5:9090')]).toEqual([mode, true, true]);
  }
});

test('accepts any address for the metrics port, if that port is not on loopback', async () => {
  expect((await expose('0.0.0.0', '127.0.0.1')).isMetricsHost('172.18.0.5:9090')).toBe(true);
  expect((await expose('127.0.0.1', '127.0.0.1')).isMetricsHost('172.18.0.5:9090')).toBe(false);
});
