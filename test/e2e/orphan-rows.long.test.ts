/** A minute of inserts whose rows have no parent, and so belong to no user. */
import { setTimeout as pause } from 'node:timers/promises';
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

const USERS = 500;
const INSERTS = 6_000;

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, freshness: { liveTimeoutMs: 20_000 } });
  await deployment.pool.query('create table items (parent bigint references counts, n int)');
  const watch = { columns: null, predictors: [COUNT], actor: 'test' };
  await watchSource(deployment.pool, { ...watch, table: 'counts', key: 'user_id' });
  const key = '(select c.user_id from public.counts c where c.user_id = changed.parent)';
  await watchSource(deployment.pool, { ...watch, table: 'items', key });
  api = await deployment.startApi();
  await deployment.startWorker();
  expect(await deployment.runEveryone(api)).toBe('1');
});
afterAll(() => deployment?.close());

it('leaves the stored predictions of all users fresh', async () => {
  const found: Record<string, number> = {};
  let isInserting = true;
  const reading = (async () => {
    for (let i = 0; isInserting; i++) {
      const { answer } = await api.client.predict(COUNT, String(1 + (i % USERS)));
      const kind = `${answer.source} ${answer.reason}`;
      found[kind] = (found[kind] ?? 0) + 1;
    }
  })();
  for (let i = 0; i < INSERTS; i++) {
    await deployment.pool.query('insert into items values (null, $1)', [i]);
    await pause(10);
  }
  isInserting = false;
  await reading;
  expect(Object.keys(found)).toEqual(['batch fresh']);
  // The row has a parent now.
  await deployment.pool.query('update items set parent = 7 where n = 3');
  expect((await api.client.predict(COUNT, '7')).answer).toMatchObject({ source: 'live', contextVersion: 1 });
});
