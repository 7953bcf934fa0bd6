/**
 * Tests when a process uses Redis: after rights were granted late, after a rejected INFO, and after a restore while
 * Redis was unavailable.
 */
import { randomBytes } from 'node:crypto';
import { createPool } from '@tandem/offline-store/sql/database';
import { grantsFor } from '@tandem/offline-store/sql/rights';
import { findSettings } from '@tandem/offline-store/sql/settings';
import { createServerConnection } from '@tandem/online-store/connection';
import { createKeys } from '@tandem/online-store/keys';
import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import { assignmentOf, type OwnRedis, startOwnRedis } from '@tandem/online-store/redis.fixture';
import { createLog } from '@tandem/telemetry/log';
import { cloneDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { openLossNotice } from './open-loss-notice.ts';

const PATIENT = { timeout: 20_000 };
const OFTEN_MS = 50;
let redis: OwnRedis;
let database: Awaited<ReturnType<typeof cloneDatabase>>;
let pool: ReturnType<typeof createPool>;
const lines: string[] = [];
const log = createLog({ level: 'warn', name: 'api', destination: { write: (line: string) => void lines.push(line) } });

beforeAll(async () => {
  redis = await startOwnRedis();
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 4, applicationName: 'notice-loss-test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
  await redis.remove();
});

/** More time than a busy machine needs for a command. */
const LIMITS = { commandTimeoutMs: 5_000, connectTimeoutMs: 5_000 };

function startProcess(database = pool) {
  const connection = createServerConnection({ url: redis.url, log: () => {}, ...LIMITS });
  const losses = openLossNotice(database, createMarkMemory({ connection }), log, OFTEN_MS);
  const online = losses.onceSure(createOnlinePredictions({ connection, log: () => {} }));
  const find = () =>
    online.find(assignmentOf(null), []).then(
      () => 'answered',
      (error: unknown) => error,
    );
  return {
    find,
    async stop() {
      await losses.stop();
      connection.close();
    },
    redis: connection.redis,
    markInRedis: () => connection.redis.get(createKeys().historyMark()),
  };
}

const historyNow = async () => (await findSettings(pool)).history;

it('uses nothing from Redis before its mark is recalled, and then detects the restore by the mark', async () => {
  const first = startProcess();
  await expect.poll(first.find, PATIENT).toBe('answered');
  await expect.poll(() => first.markInRedis(), PATIENT).not.toBeNull();
  const remembered = await first.markInRedis();
  await first.stop();
  const before = await historyNow();
  await redis.kill();
  await pool.query('truncate tandem.history_marks restart identity');
  const second = startProcess();
  // By then the process has written its mark, and cannot recall it.
  const countMarks = async () => (await pool.query('select from tandem.history_marks')).rowCount;
  await expect.poll(countMarks, PATIENT).toBe(1);
  expect(await second.find()).toMatchObject({ code: 'unavailable' });
  expect(await historyNow()).toBe(before);
  await redis.restart();
  await expect.poll(historyNow, PATIENT).not.toBe(before);
  await expect.poll(second.find, PATIENT).toBe('answered');
  await expect.poll(() => second.markInRedis(), PATIENT).not.toBe(remembered);
  expect(lines.filter((line) => line.includes('history.loss_noticed'))).toHaveLength(1);
  await second.stop();
});

const NOT_YET_ASKED = { code: 'unavailable', message: expect.stringContaining('not been read yet') };

it('uses nothing from a Redis server that refuses INFO', async () => {
  const admin = createServerConnection({ url: redis.url, log: () => {} });
  await admin.whenReady(PATIENT.timeout);
  await admin.redis.acl('SETUSER', 'default', '-info');
  const started = startProcess();
  // The process still recalls and remembers marks.
  await admin.redis.del(createKeys().historyMark());
  await expect.poll(() => started.markInRedis(), PATIENT).not.toBeNull();
  expect(await started.find()).toMatchObject(NOT_YET_ASKED);
  await admin.redis.acl('SETUSER', 'default', '+info');
  await expect.poll(started.find, PATIENT).toBe('answered');
  await started.stop();
  admin.close();
});

it('reads the mark of another Redis after it was granted the missing rights', async () => {
  const role = `api_${randomBytes(4).toString('hex')}`;
  await pool.query(`create role ${role} login password 'secret'; ${grantsFor(role, 'current_user')};
    revoke all on tandem.history_marks from ${role}`);
  const limited = createPool({
    url: Object.assign(new URL(database.url), { username: role, password: 'secret' }).href,
    max: 4,
    applicationName: 'notice-loss-test',
  });
  const started = startProcess(limited);
  await expect.poll(started.find, PATIENT).toBe('answered');
  await started.redis.del(createKeys().historyMark());
  await pool.query(`grant select, insert, update, delete on tandem.history_marks to ${role}`);
  await expect.poll(() => started.markInRedis(), PATIENT).not.toBeNull();
  // The server that comes back has no mark.
  await started.redis.multi().del(createKeys().historyMark()).lpush(createKeys().historyMark(), 'x').exec();
  await redis.killAndRestart();
  await expect.poll(started.find, PATIENT).toMatchObject(NOT_YET_ASKED);
  await expect.poll(() => started.redis.status, PATIENT).toBe('ready');
  expect(await started.find()).toMatchObject(NOT_YET_ASKED);
  await started.redis.del(createKeys().historyMark());
  await expect.poll(started.find, PATIENT).toBe('answered');
  await started.stop();
  await limited.end();
  await pool.query(`drop owned by ${role} cascade; drop role ${role}`);
});
