/**
 * Tests API and worker behind a real PgBouncer in transaction mode with the defaults of its package, while other
 * clients use the same sessions. Needs the program (Debian package `pgbouncer`).
 */
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startAudience } from './audience.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { findPgbouncer, type OwnPooler, startPooler } from './pooler.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 1_000;

let deployment: Deployment;
let pooler: OwnPooler;
let poolers: OwnPooler[] = [];
let direct: string;

beforeAll(async () => {
  if (findPgbouncer() === null) return;
  deployment = await createDeployment({ ownPostgres: true });
  direct = deployment.postgres?.url ?? '';
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 50 }, freshness: { liveTimeoutMs: 20_000 } });
  pooler = await open('transaction');
});
afterAll(async () => {
  await deployment?.close();
  await Promise.all(poolers.map((one) => one.close()));
});
beforeEach((context) => {
  if (findPgbouncer() === null) context.skip('needs pgbouncer in the PATH, or PGBOUNCER_BIN');
});

async function open(mode: 'transaction' | 'session'): Promise<OwnPooler> {
  const opened = await startPooler({ folder: join(deployment.folder, mode), url: direct, mode });
  poolers = [...poolers, opened];
  return opened;
}

const pooled = () => ({ DATABASE_URL: pooler.by(direct), DATABASE_DIRECT_URL: direct });

/**
 * Acts as another program at the same pooler, which leaves its settings in the sessions. Its time limit still applies to the
 * message that sets Tandem's, which took longer than 1 ms on a busy machine.
 */
async function leaveSettings(): Promise<void> {
  const client = new pg.Client({ connectionString: pooler.by(direct) });
  await client.connect();
  await client.query(`set synchronous_commit = off; set datestyle = 'German'; set statement_timeout = 30;
    set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; set extra_float_digits = 0`);
  await client.end();
}

/** Notes a setting of each transaction that records an event or a chunk. */
async function noteSettings(): Promise<void> {
  await deployment.pool.query(`create table noted_settings (synchronous_commit text primary key);
    create function note_settings() returns trigger language plpgsql security definer as $$ begin
      insert into public.noted_settings values (current_setting('synchronous_commit')) on conflict do nothing;
      return null;
    end $$;
    create trigger note_settings after insert on tandem.events for each statement execute function note_settings();
    create trigger note_settings after update on tandem.chunks for each statement execute function note_settings()`);
}

it('event, live read, run, batch read and rollback work through the pooler under load, and no answer is wrong', async () => {
  const api = await deployment.startApi({ environment: pooled() });
  await deployment.startWorker(pooled());
  await noteSettings();
  const audience = startAudience({
    ...{ pool: deployment.pool, wire: deployment.wire, urls: [api.url], users: 900, writers: 2, readers: 4 },
    random: seededRandom('pooler'),
  });
  await until('events are acknowledged', () => audience.seen.acknowledged > 50);
  await leaveSettings();
  expect((await api.client.predict(COUNT, '900')).answer).toMatchObject({ source: 'live', prediction: { score: 0 } });
  // No reader of the audience infers these users, so their rows are the newest predictions.
  const unchanged = ['901', '990', '1000'];
  for (const generation of ['1', '2']) {
    expect(await deployment.runEveryone(api)).toBe(generation);
    await leaveSettings();
    await expectBatch(api, unchanged, generation);
  }
  expect(await api.client.rollback(COUNT)).toMatchObject({ from: { generation: '2' }, to: { generation: '1' } });
  await expectBatch(api, unchanged, '1');
  await until('fresh answers', () => audience.seen.fresh > 500);
  await audience.stop();
  expect([audience.violations, deployment.wire.violations, audience.seen.refused]).toEqual([[], [], 0]);
  const noted = await deployment.pool.query('select synchronous_commit from noted_settings');
  expect(noted.rows).toEqual([{ synchronous_commit: 'on' }]);
  expect((await (await fetch(`${api.url}/readyz`)).json()) as unknown).toMatchObject({ status: 'ready' });
});

async function expectBatch({ client }: Api, users: readonly string[], generation: string): Promise<void> {
  for (const userId of users) {
    expect((await client.predict(COUNT, userId)).answer).toMatchObject({ source: 'batch', generation });
  }
}

/** Returns the error of a program that does not start. */
async function refusalOf(start: Promise<unknown>): Promise<string> {
  return start.then(
    () => 'it started',
    (error: Error) => error.message,
  );
}

it('an unreachable pooler is named, and stored predictions are served without it', async () => {
  const own = await open('session');
  const api = await deployment.startApi({
    environment: { DATABASE_URL: own.by(direct), DATABASE_DIRECT_URL: direct },
  });
  await until('ready', async () => (await fetch(`${api.url}/readyz`)).ok);
  await own.close();
  const failed = async () => {
    const { parts } = (await (await fetch(`${api.url}/readyz`)).json()) as {
      parts: { name: string; status: string }[];
    };
    return parts.flatMap(({ name, status }) => (status === 'ok' ? [] : [name]));
  };
  // On a busy machine, the check of another part may be late for a moment.
  await expect.poll(failed, { timeout: 20_000 }).toEqual(['pooler']);
  await expect(api.client.sendEvents([{ subject: '1', type: 'counted' }])).rejects.toThrow('through its pooler');
  expect((await api.client.predict(COUNT, '990')).answer.reason).toBe('fresh');
});

it('without DATABASE_DIRECT_URL neither API nor worker starts, and each names the variable', async () => {
  const environment = { DATABASE_URL: pooler.by(direct) };
  for (const start of [() => deployment.startApi({ environment }), () => deployment.startWorker(environment)]) {
    const said = await refusalOf(start());
    expect(said).toContain('DATABASE_URL leads through a pooler in transaction mode');
    expect(said).toContain('set DATABASE_DIRECT_URL to the address of Postgres itself');
  }
});

it('a pooler for feature statements only also requires DATABASE_DIRECT_URL', async () => {
  const environment = { DATABASE_URL: direct, FEATURES_DATABASE_URL: pooler.by(direct) };
  expect(await refusalOf(deployment.startApi({ environment }))).toContain(
    'FEATURES_DATABASE_URL leads through a pooler',
  );
  const api = await deployment.startApi({ environment: { ...environment, DATABASE_DIRECT_URL: direct } });
  expect((await api.client.predict(COUNT, '990', { noCache: true })).answer).toMatchObject({ source: 'live' });
});

it('a direct address that leads to the pooler is rejected', async () => {
  const again = pooler.by(direct).replace('127.0.0.1', 'localhost');
  const said = await refusalOf(
    deployment.startApi({ environment: { DATABASE_URL: pooler.by(direct), DATABASE_DIRECT_URL: again } }),
  );
  expect(said).toContain('DATABASE_DIRECT_URL leads through a pooler in transaction mode');
});

it('start-up options that the pooler rejects are named', async () => {
  const url = `${pooler.by(direct)}?options=-c%20jit%3Doff`;
  const environment = { DATABASE_URL: url, DATABASE_DIRECT_URL: direct };
  expect(await refusalOf(deployment.startApi({ environment }))).toContain('leave options out of the URL');
});

it('a pooler in session mode needs no direct address', async () => {
  const url = (await open('session')).by(direct);
  const api = await deployment.startApi({ environment: { DATABASE_URL: url } });
  expect((await api.client.predict(COUNT, '990')).answer).toMatchObject({ prediction: { score: 0 } });
});
