/**
 * Tests of `tandem doctor` on real servers: addresses with a pooler, addresses with several servers, and a running
 * `tandem up`.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '@tandem/commands/output/finding';
import { findFreePort } from '@tandem/local-servers/ports';
import { announceRunning } from '@tandem/local-servers/running-file';
import { startProxy } from '@tandem/offline-store/stalling-proxy.fixture';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { run } from '../program.fixture.ts';

const database = inject('databaseUrl');
let cwd: string;
let ways: Awaited<ReturnType<typeof startProxy>>[];
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tandem-doctor-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));
beforeEach(async () => {
  ways = [await startProxy(new URL(database)), await startProxy(new URL(database))];
});
afterEach(() => {
  for (const way of ways) way.close();
});

const hostOf = (way = 0) => new URL(ways[way]?.url ?? '').host;
/** Returns an address with both servers. */
const several = () => (ways[0]?.url ?? '').replace(hostOf(), `${hostOf()},${hostOf(1)}`);

async function examine(env: Readonly<Record<string, string>>): Promise<Finding[]> {
  const given = { DATABASE_URL: database, REDIS_URL: inject('redisUrl'), PORT: String(await findFreePort()) };
  const { out } = await run(['doctor', '--json'], { cwd, env: { ...given, ...env } });
  return JSON.parse(out).findings;
}

const levels = (findings: readonly Finding[], ...subjects: string[]) =>
  findings.filter(({ subject }) => subjects.includes(subject)).map(({ subject, level }) => `${subject} ${level}`);

test('doctor checks everything else behind a pooler too', async () => {
  const findings = await examine({ DATABASE_URL: ways[0]?.url ?? '', DATABASE_DIRECT_URL: database });
  expect(levels(findings, 'pooler', 'postgres', 'durability')).toEqual(['pooler ok', 'postgres ok', 'durability ok']);
});

test('doctor names a pooler that does not answer, and Postgres behind it is in order', async () => {
  ways[0]?.close();
  const findings = await examine({ DATABASE_URL: ways[0]?.url ?? '', DATABASE_DIRECT_URL: database });
  expect(levels(findings, 'pooler', 'postgres')).toEqual(['pooler error', 'postgres ok']);
  expect(findings.find(({ subject }) => subject === 'pooler')?.remedy).toContain('the pooler in DATABASE_URL runs');
});

test('doctor names Postgres that does not answer behind a pooler, and not the pooler', async () => {
  const nowhere = `postgres://a:b@127.0.0.1:${await findFreePort()}/c`;
  const findings = await examine({ DATABASE_URL: database, DATABASE_DIRECT_URL: nowhere });
  expect(levels(findings, 'pooler', 'postgres')).toEqual(['postgres error']);
});

test('one of several servers that does not answer is a warning with its name', async () => {
  ways[1]?.close();
  const found = (await examine({ DATABASE_URL: several() })).filter(({ subject }) => subject === 'postgres');
  expect(found).toMatchObject([
    { level: 'ok' },
    {
      level: 'warning',
      text: expect.stringContaining(`${hostOf(1)} of DATABASE_URL cannot be used: connect ECONNREFUSED`),
    },
  ]);
});

test('several servers that all do not answer are an error that names each, without terms of HTTP', async () => {
  for (const way of ways) way.close();
  const found = (await examine({ DATABASE_URL: several() })).filter(({ subject }) => subject === 'postgres');
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ level: 'error', remedy: expect.stringContaining('its address is right') });
  for (const way of [0, 1]) expect(found[0]?.text).toContain(`${hostOf(way)}: connect ECONNREFUSED`);
  expect(JSON.stringify(found)).not.toContain('Retry-After');
});

test('doctor checks PORT, even beside a service that runs from this folder', async () => {
  await mkdir(join(cwd, '.tandem'), { recursive: true });
  const other = await findFreePort();
  const stores = { databaseUrl: null, redisUrl: null, pepperId: null };
  const remove = announceRunning(join(cwd, '.tandem'), { apiUrl: `http://127.0.0.1:${other}`, ...stores });
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  try {
    const found = async (env: Readonly<Record<string, string>>) =>
      (await examine(env)).find(({ subject }) => subject === 'port');
    expect(await found({ PORT: String(port) })).toMatchObject({ text: expect.stringContaining(`${port} is taken`) });
    expect(await found({ PORT: '' })).toMatchObject({ level: 'ok', text: `${other} is free` });
  } finally {
    taken.close();
    remove();
  }
});

test('if only servers run, commands do not call the API of another folder', async () => {
  await mkdir(join(cwd, '.tandem'), { recursive: true });
  const stores = { databaseUrl: null, redisUrl: null, pepperId: null };
  const remove = announceRunning(join(cwd, '.tandem'), { apiUrl: null, ...stores });
  try {
    const { code, err } = await run('predict churn 42', { cwd });
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no API runs in this folder.*\n.*--url/),
    });
    const named = await run('predict churn 42', {
      cwd,
      env: { TANDEM_URL: `http://127.0.0.1:${await findFreePort()}` },
    });
    expect(named.err).not.toContain('no API runs in this folder');
  } finally {
    remove();
  }
});
