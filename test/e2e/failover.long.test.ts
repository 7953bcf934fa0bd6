/** Failovers to a server that lacks the last writes: of Postgres to a lagging standby, and of Redis to a replica. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import { ProblemError } from '@tandem/transport/client-errors';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startAudience } from './audience.fixture.ts';
import { change, expectAllTrue, expectTokenRefused, readFresh } from './believed.fixture.ts';
import { adoptCounts, COUNT, type Pool } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { copyOf, takeBackup } from './postgres-backup.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { type OwnPostgres, ownPostgres, ownRedis } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 1_000;
const [KEPT, LOST] = ['7', '11'];

let deployment: Deployment;
let closing: (() => Promise<void>)[];

beforeEach(() => {
  closing = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
});

async function deploy(options: { ownPostgres?: boolean }): Promise<Api> {
  deployment = await createDeployment(options);
  closing.push(() => deployment.close());
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 100 } });
  const api = await deployment.startApi();
  await deployment.startWorker();
  await deployment.runEveryone(api);
  return api;
}

it('a standby that lacks the last commits is another history, and no process trusts data of the lost commits', async () => {
  const api = await deploy({ ownPostgres: true });
  const { pool, postgres } = deployment;
  if (!postgres) throw new Error('the test has no separate Postgres');
  const standby = await followPrimary(pool, postgres);
  const kept = await change(pool, api, KEPT, 1);
  await untilReplayed(pool, standby.pool);
  await standby.stopFollowing();
  const lost = await change(pool, api, LOST, 2);
  expect(await readFresh(api, LOST)).toBe(2);

  await postgres.end('SIGQUIT');
  await standby.server.end('SIGINT');
  await copyOf(standby.server.cluster).restore(postgres.cluster);
  await postgres.start();
  // A standby never certifies.
  await expectNothingFresh(api);
  await pool.query('select pg_promote()');
  await until('reads are certified again', () => readFresh(api, KEPT).catch(() => null));

  await expectAllTrue(pool, [api]);
  await expectTokenRefused(api, KEPT, kept);
  await expectTokenRefused(api, LOST, lost);
  // The lost version is assigned again, to another change.
  await change(pool, api, LOST, 1);
  expect(await readFresh(api, LOST)).toBe(1);
  await deployment.runEveryone(api);
  await expectAllTrue(pool, [api]);
  expect(deployment.wire.violations).toEqual([]);
});

interface Standby {
  readonly server: OwnPostgres;
  readonly pool: Pool;
  stopFollowing(): Promise<void>;
}

async function followPrimary(pool: Pool, primary: OwnPostgres): Promise<Standby> {
  const { folder } = deployment;
  const { port, username, password } = new URL(primary.url);
  const backup = await takeBackup(pool, primary.cluster, join(folder, 'base'));
  await mkdir(join(folder, 'standby'), { mode: 0o711 });
  await copyFile(join(folder, 'postgres', 'password'), join(folder, 'standby', 'password'));
  await backup.restore(join(folder, 'standby', 'cluster'), {
    signal: 'standby.signal',
    settings: { primary_conninfo: `host=127.0.0.1 port=${port} user=${username} password=${password}` },
  });
  const server = await ownPostgres(folder, { name: 'standby' });
  closing.push(() => server.close());
  const itsPool = createPool({ url: server.url, max: 1, applicationName: 'e2e-standby' });
  closing.push(() => itsPool.end());
  return {
    server,
    pool: itsPool,
    async stopFollowing() {
      await itsPool.query(`alter system set primary_conninfo = ''`);
      await itsPool.query('select pg_reload_conf()');
      await until('the standby receives nothing more', async () => {
        const { rows } = await itsPool.query('select from pg_stat_wal_receiver');
        return rows.length === 0;
      });
    },
  };
}

async function untilReplayed(primary: Pool, standby: Pool): Promise<void> {
  const { rows } = await primary.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  await until('the standby has the change', async () => {
    const { rows: replayed } = await standby.query('select where pg_last_wal_replay_lsn() >= $1::pg_lsn', [
      rows[0]?.lsn,
    ]);
    return replayed.length > 0;
  });
}

async function expectNothingFresh({ client }: Api): Promise<void> {
  for (const userId of [KEPT, LOST, '500']) {
    const said = await client.predict(COUNT, userId).catch((error: unknown) => error);
    if (said instanceof ProblemError) expect(said.status).toBe(503);
    else expect(said).toMatchObject({ answer: { source: 'stale', reason: 'unverified' } });
  }
}

it('after the promotion of a Redis replica that missed writes, no stale answer is called fresh, with half of the readers on the old primary', async () => {
  const first = await deploy({});
  const { pool, redis, wire, folder } = deployment;
  const replica = await ownRedis(folder, { name: 'replica' });
  closing.push(() => replica.close());
  const second = await deployment.startApi({ environment: { REDIS_URL: replica.url, QUEUE_REDIS_URL: redis.url } });
  const audience = startAudience({
    ...{ pool, wire, users: USERS, random: seededRandom('Redis failover') },
    urls: [first.url, second.url],
  });
  const untilMore = async () => {
    const { fresh, acknowledged } = audience.seen;
    await until(
      'reads and events continue',
      () => audience.seen.fresh > fresh + 150 && audience.seen.acknowledged > acknowledged + 30,
    );
  };
  for (let failover = 0; failover < 2; failover++) {
    await follow(replica.url, redis.url);
    await untilMore();
    await promote(replica.url);
    // From now on each primary gets half of the events, and only one gets the run.
    await untilMore();
    await deployment.runEveryone(first);
    await untilMore();
  }
  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
  expect(audience.seen).toMatchObject({ unreachable: 0 });
});

async function follow(replica: string, primary: string): Promise<void> {
  const { hostname, port, password } = new URL(primary);
  await onRedis(replica, async (connection) => {
    await connection.config('SET', 'masterauth', password);
    await connection.replicaof(hostname, Number(port));
    await until('the replica follows its primary', async () =>
      (await connection.info('replication')).includes('master_link_status:up'),
    );
  });
}

/** Promotes the replica. It keeps its data and gets no further writes of the old primary, which keeps running. */
function promote(replica: string): Promise<void> {
  return onRedis(replica, async (connection) => void (await connection.replicaof('NO', 'ONE')));
}

async function onRedis(url: string, work: (connection: Redis) => Promise<void>): Promise<void> {
  const connection = new Redis(url);
  try {
    await work(connection);
  } finally {
    connection.disconnect();
  }
}
