import { expect, test } from 'vitest';
import { renderFindings, summarise } from '../output/finding.ts';
import { plain } from '../output/paint.ts';
import { judgeDisk, judgeNode } from './judge-machine.ts';
import { judgePostgres, type PostgresFacts } from './judge-postgres.ts';
import { judgeRedis, type RedisFacts } from './judge-redis.ts';
import { parseInfo } from './read-redis-facts.ts';

const postgres: PostgresFacts = {
  version: '18.4',
  versionNumber: 180_004,
  database: 'shop',
  user: 'tandem',
  inRecovery: false,
  fsync: 'on',
  synchronousCommit: 'on',
  fullPageWrites: 'on',
  walLevel: 'replica',
  encoding: 'UTF8',
  mayCreate: true,
  mayReadControl: true,
  maxConnections: 100,
  connections: 9,
  now: 1_000_000,
};
const redis: RedisFacts = {
  version: '7.0.15',
  role: 'master',
  policy: 'noeviction',
  maxMemory: 0,
  usedMemory: 1,
  holdsQueue: true,
};

const notOk = (changes: Partial<PostgresFacts>, here = 1_000_000) =>
  judgePostgres({ ...postgres, ...changes }, here).filter(({ level }) => level !== 'ok');

test('a Postgres that is as it must be gives no finding, on a clock half a second away', () => {
  expect(notOk({}, 1_000_500)).toEqual([]);
});

test.each<[string, Partial<PostgresFacts>, string, string]>([
  ['without fsync', { fsync: 'off' }, 'error', 'durability'],
  ['a standby', { inRecovery: true }, 'error', 'postgres'],
  ['too old', { version: '13.9', versionNumber: 130_009 }, 'error', 'postgres'],
  ['in another encoding', { encoding: 'SQL_ASCII' }, 'error', 'postgres'],
  ['that hides its identity', { mayReadControl: false }, 'error', 'rights'],
  ['that may not be migrated', { mayCreate: false }, 'warning', 'rights'],
  ['that commits later by default', { synchronousCommit: 'off' }, 'warning', 'durability'],
  ['without full page writes', { fullPageWrites: 'off' }, 'warning', 'durability'],
  ['with few connections left', { connections: 90 }, 'warning', 'connections'],
])('a Postgres %s is found', (_, changes, level, subject) => {
  expect(notOk(changes)).toEqual([expect.objectContaining({ level, subject, remedy: expect.any(String) })]);
});

test('a clock that differs is told with its direction', () => {
  expect(notOk({}, 1_060_000)[0]?.text).toBe("this machine's clock is 1 min ahead of Postgres'");
  expect(notOk({}, 940_000)[0]?.text).toBe("this machine's clock is 1 min behind Postgres'");
});

test('a Redis that evicts is an error where it holds the queue, and fine where it does not', () => {
  const levels = (facts: Partial<RedisFacts>) => judgeRedis({ ...redis, ...facts }).map(({ level }) => level);
  expect(levels({})).toEqual(['ok', 'ok', 'ok']);
  expect(levels({ policy: 'allkeys-lru' })).toEqual(['ok', 'error', 'ok']);
  expect(levels({ policy: 'allkeys-lru', holdsQueue: false })).toEqual(['ok', 'ok', 'ok']);
  expect(levels({ version: '6.2.1' })).toEqual(['error', 'ok', 'ok']);
  expect(levels({ role: 'slave' })).toEqual(['error', 'ok', 'ok']);
  expect(levels({ maxMemory: 100, usedMemory: 90 })).toEqual(['ok', 'ok', 'warning']);
});

test('what Redis says of itself is read from its INFO', () => {
  const info =
    '# Server\r\nredis_version:8.0.2\r\n# Memory\r\nused_memory:12\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n';
  expect(parseInfo(info)).toEqual({
    version: '8.0.2',
    role: 'master',
    policy: 'noeviction',
    maxMemory: 0,
    usedMemory: 12,
  });
});

test('a Node that cannot run TypeScript is an error, one that is not tested a warning', () => {
  expect([judgeNode('v20.19.0'), judgeNode('v26.1.0'), judgeNode('v24.21.0')].map(({ level }) => level)).toEqual([
    'error',
    'warning',
    'ok',
  ]);
});

test('a full disk is an error before Postgres stops for it', () => {
  expect([100, 1_000, 10_000].map((free) => judgeDisk('/', free).level)).toEqual(['error', 'warning', 'ok']);
});

test('findings align, with their remedies below', () => {
  const findings = [judgeNode('v24.21.0'), judgeDisk('/data', 100)];
  expect(renderFindings(findings, plain)).toEqual([
    'ok       node  v24.21.0',
    'error    disk  100 MB free where /data lies',
    '               → free some space: Postgres stops when the disk is full',
  ]);
  expect(summarise(findings)).toBe('1 error');
});
