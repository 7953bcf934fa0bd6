import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { plain } from '@tandem/commands/command';
import { renderFindings, summarise } from '@tandem/commands/output/finding';
import { expect, test } from 'vitest';
import { judgeApiProcesses, judgeDisk, judgeNode, judgePort } from './judge-machine.ts';
import { judgePostgres, type PostgresFacts } from './postgres.ts';
import { judgeRedis, parseInfo, type RedisFacts } from './redis.ts';

const postgres: PostgresFacts = {
  version: '18.4',
  versionNumber: 180_004,
  database: 'shop',
  user: 'tandem',
  inRecovery: false,
  fsync: 'on',
  fullPageWrites: 'on',
  walLevel: 'replica',
  encoding: 'UTF8',
  mayCreate: true,
  closedFunctions: [],
  defaults: {
    ...{ DateStyle: 'ISO, MDY', IntervalStyle: 'postgres', bytea_output: 'hex', extra_float_digits: '1', jit: 'off' },
    ...{ default_transaction_isolation: 'read committed', default_transaction_deferrable: 'off' },
    ...{ default_transaction_read_only: 'off', session_replication_role: 'origin', synchronous_commit: 'on' },
    ...{ standard_conforming_strings: 'on', statement_timeout: '0' },
  },
  schema: { owner: 'tandem', ownerIsSuperuser: false, isOwner: true, closedTables: [] },
  maxConnections: 100,
  connections: 9,
  now: 1_000_000,
};
const redis: RedisFacts = {
  server: 'Redis',
  version: '7.0.15',
  role: 'master',
  policy: 'noeviction',
  maxMemory: 0,
  usedMemory: 1,
  maxListpackEntries: 128,
  refused: [],
  holdsQueue: true,
  isCluster: false,
  isAddressedAsCluster: false,
};

function defaultsWith(changes: Readonly<Record<string, string>>): Partial<PostgresFacts> {
  return { defaults: { ...postgres.defaults, ...changes } };
}

const notOk = (changes: Partial<PostgresFacts>, here = 1_000_000) =>
  judgePostgres({ ...postgres, ...changes }, here).filter(({ level }) => level !== 'ok');

test('a correct Postgres whose clock differs by half a second gives no warning', () => {
  expect(notOk({}, 1_000_500)).toEqual([]);
});

test.each<[string, Partial<PostgresFacts>, string, string]>([
  ['without fsync', { fsync: 'off' }, 'error', 'durability'],
  ['a standby', { inRecovery: true }, 'error', 'postgres'],
  ['too old', { version: '14.9', versionNumber: 140_009 }, 'error', 'postgres'],
  ['newer than any that is tested', { version: '19.0', versionNumber: 190_000 }, 'warning', 'postgres'],
  ['in another encoding', { encoding: 'SQL_ASCII' }, 'error', 'postgres'],
  ['that hides its identity', { closedFunctions: ['pg_control_system()'] }, 'warning', 'rights'],
  ['that may not be migrated', { mayCreate: false, schema: null }, 'warning', 'rights'],
  [
    'whose tables this user may not use',
    { schema: { owner: 'dba', ownerIsSuperuser: false, isOwner: false, closedTables: ['events', 'runs'] } },
    'error',
    'rights',
  ],
  [
    'whose schema belongs to another user',
    { schema: { owner: 'dba', ownerIsSuperuser: false, isOwner: false, closedTables: [] } },
    'warning',
    'rights',
  ],
  ['whose commits are asynchronous by default', defaultsWith({ synchronous_commit: 'off' }), 'warning', 'durability'],
  ['whose triggers do not fire', defaultsWith({ session_replication_role: 'replica' }), 'error', 'settings'],
  [
    'whose transactions are read-only by default',
    defaultsWith({ default_transaction_read_only: 'on' }),
    'warning',
    'settings',
  ],
  ['without full page writes', { fullPageWrites: 'off' }, 'warning', 'durability'],
  ['with few connections left', { connections: 90 }, 'warning', 'connections'],
])('doctor reports a Postgres %s', (_, changes, level, subject) => {
  expect(notOk(changes)).toEqual([expect.objectContaining({ level, subject, remedy: expect.any(String) })]);
});

test('defaults that Tandem overrides are named and in order', () => {
  const of = (changes: Partial<PostgresFacts>) =>
    judgePostgres({ ...postgres, ...changes }, 1_000_000).find(({ subject }) => subject === 'settings');
  expect(of({})).toEqual({ subject: 'settings', level: 'ok', text: 'as Tandem sets them' });
  expect(of(defaultsWith({ jit: 'on', DateStyle: 'German, DMY' }))).toEqual({
    subject: 'settings',
    level: 'ok',
    text: "DateStyle German, DMY, jit on: Tandem's connections override them",
  });
});

test('each function of the history without a right is named with its grant', () => {
  const closedFunctions = ['pg_control_system()', 'pg_walfile_name(pg_lsn)'];
  const [finding] = notOk({ closedFunctions });
  expect(finding?.text).toContain('tandem may not execute pg_control_system(), pg_walfile_name(pg_lsn)');
  expect(finding?.remedy).toBe(
    'grant execute on function pg_control_system() to tandem; grant execute on function pg_walfile_name(pg_lsn) to tandem',
  );
});

test('no remedy needs a superuser or another role', () => {
  const schema = { owner: 'postgres', ownerIsSuperuser: true, isOwner: false };
  const remedyFor = (closedTables: string[]) => notOk({ user: 'lim', schema: { ...schema, closedTables } })[0]?.remedy;
  expect(remedyFor(['events'])).toMatch(
    /^grant usage on schema tandem to lim; grant select, insert, update, delete on all/,
  );
  expect(remedyFor([])).toMatch(
    /^make lim the owner of all objects in the schema: docs\/postgres\.md, "Rights in Postgres"/,
  );
  expect(`${remedyFor(['events'])}${remedyFor([])}`).not.toContain('grant postgres');
});

test('a difference of the clocks is reported with its direction', () => {
  expect(notOk({}, 1_060_000)[0]?.text).toBe("this machine's clock is 1 min ahead of Postgres'");
  expect(notOk({}, 940_000)[0]?.text).toBe("this machine's clock is 1 min behind Postgres'");
});

test('a Redis that evicts keys is an error if it holds the queue, and otherwise in order', () => {
  const notOk = (facts: Partial<RedisFacts>) =>
    judgeRedis([{ ...redis, ...facts }])
      .filter(({ level }) => level !== 'ok')
      .map(({ level, subject }) => `${level} ${subject}`);
  expect(notOk({})).toEqual([]);
  expect(notOk({ policy: 'allkeys-lru' })).toEqual(['error eviction']);
  expect(notOk({ policy: 'allkeys-lru', holdsQueue: false })).toEqual([]);
  expect(notOk({ version: '6.2.1' })).toEqual(['error redis']);
  expect(notOk({ version: '9.0.0' })).toEqual(['warning redis']);
  expect(notOk({ server: 'Valkey', version: '8.1.1' })).toEqual([]);
  expect(notOk({ role: 'slave' })).toEqual(['error redis']);
  expect(notOk({ isCluster: true })).toEqual(['error redis']);
  expect(notOk({ isCluster: true, isAddressedAsCluster: true })).toEqual([]);
  expect(notOk({ maxMemory: 100, usedMemory: 90 })).toEqual(['warning memory']);
  expect(notOk({ maxListpackEntries: 64 })).toEqual(['warning memory']);
  expect(notOk({ refused: ['eval', 'hset'] })).toEqual(['error rights']);
  expect(notOk({ refused: ['info'], version: null, policy: null })).toEqual(['warning redis', 'warning rights']);
});

test('the facts about a Redis are read from its INFO', () => {
  const info =
    '# Server\r\nredis_version:8.0.2\r\nredis_mode:cluster\r\n# Memory\r\nused_memory:12\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n';
  expect(parseInfo(info)).toEqual({
    server: 'Redis',
    version: '8.0.2',
    role: 'master',
    isCluster: true,
    policy: 'noeviction',
    maxMemory: 0,
    usedMemory: 12,
  });
  expect(parseInfo('redis_version:7.2.4\r\nvalkey_version:8.1.1\r\n')).toMatchObject({
    server: 'Valkey',
    version: '8.1.1',
  });
});

test('a Node.js that cannot run TypeScript is an error, and an untested version is a warning', () => {
  expect([judgeNode('v20.19.0'), judgeNode('v25.1.0'), judgeNode('v26.1.0')].map(({ level }) => level)).toEqual([
    'error',
    'warning',
    'ok',
  ]);
});

test('an almost full disk is an error before Postgres stops', () => {
  expect([100, 1_000, 10_000].map((free) => judgeDisk('/', free).level)).toEqual(['error', 'warning', 'ok']);
});

test('findings are aligned, with their remedies below', () => {
  const findings = [judgeNode('v24.21.0'), judgeDisk('/data', 100)];
  expect(renderFindings(findings, plain)).toEqual([
    'ok       node  v24.21.0',
    'error    disk  100 MB free on the disk of /data',
    '               → free some space: Postgres stops when the disk is full',
  ]);
  expect(summarise(findings)).toBe('1 error');
});

test('more API processes than cores are a warning', () => {
  expect(judgeApiProcesses(4, 4)).toEqual({ subject: 'processes', level: 'ok', text: '4 API processes on 4 cores' });
  expect(judgeApiProcesses(1, 1)).toMatchObject({ level: 'ok', text: '1 API process on 1 core' });
  expect(judgeApiProcesses(5, 4)).toMatchObject({ level: 'warning', remedy: 'lower API_PROCESSES' });
});

test('an API on the port belongs to this folder only if one runs here', async () => {
  const other = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  try {
    const url = `http://127.0.0.1:${port}`;
    expect(await judgePort(port, url)).toMatchObject({ level: 'ok', text: `${port}: the API answers there` });
    const taken = { level: 'warning', text: expect.stringContaining(`${port} is taken`) };
    expect(await judgePort(port, null)).toMatchObject(taken);
  } finally {
    other.close();
  }
});
