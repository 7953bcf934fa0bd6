/**
 * Sessions change watched tables through a PgBouncer in transaction mode, which gives each transaction another session of
 * Postgres. No read after a commit is stale and called fresh.
 */
import { join } from 'node:path';
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { changeRow, createChangingTables, startChanging, type Table, WATCHES } from './changing-tables.fixture.ts';
import { COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { findPgbouncer, type OwnPooler, startPooler } from './pooler.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 300;

let deployment: Deployment;
let pooler: OwnPooler;
let sessions: pg.Pool;
let api: Api;

beforeAll(async () => {
  if (findPgbouncer() === null) return;
  deployment = await createDeployment({ ownPostgres: true });
  await createChangingTables(deployment.pool, USERS);
  await deployment.pool.query('alter table notes add foreign key (order_id) references orders');
  for (const table of Object.keys(WATCHES) as Table[]) {
    const key = WATCHES[table][1] ?? null;
    await watchSource(deployment.pool, { table, key, columns: null, predictors: [COUNT], actor: 'test' });
  }
  const direct = deployment.environment.DATABASE_URL;
  // Fewer sessions of Postgres than there are writers and connections of the API.
  const settings = ['default_pool_size = 4'];
  pooler = await startPooler({ folder: join(deployment.folder, 'pooler'), url: direct, settings });
  sessions = new pg.Pool({ connectionString: pooler.by(direct), max: 8 });
  const environment = { DATABASE_URL: pooler.by(direct), DATABASE_DIRECT_URL: direct };
  api = await deployment.startApi({ environment });
  await deployment.startWorker(environment);
  await deployment.runEveryone(api);
});
afterAll(async () => {
  await sessions?.end();
  await deployment?.close();
  await pooler?.close();
});
beforeEach((context) => {
  if (findPgbouncer() === null) context.skip('needs pgbouncer in the PATH, or PGBOUNCER_BIN');
});

it('each read after a commit shows its changes, by column, by look-up and for everyone', async () => {
  const changing = startChanging(sessions, USERS, seededRandom('pooler-watches'));
  changing.ask([['this', api]]);
  await until('stored answers', () => (changing.seen.get('this')?.stored ?? 0) > 50);
  await changeRow(sessions, 'prices', 0);
  changing.demand('everyone', 1);
  await deployment.runEveryone(api);
  const { fresh = 0, stored = 0 } = changing.seen.get('this') ?? {};
  await until('fresh answers', () => {
    const seen = changing.seen.get('this');
    return changing.committed > 300 && seen && seen.fresh > fresh + 500 && seen.stored > stored + 100;
  });
  await changing.stop();
  expect([changing.violations, deployment.wire.violations]).toEqual([[], []]);
  // The transactions leave nothing in the sessions that they shared.
  const { rows } = await deployment.pool.query('select from tandem.source_changes');
  expect(rows).toEqual([]);
});
