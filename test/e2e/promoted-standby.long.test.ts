/** A standby at another address is promoted under load. DATABASE_URL names both servers, and no setting changes. */
import { createPool } from '@tandem/offline-store/sql/database';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAudience } from './audience.fixture.ts';
import { expectAllTrue } from './believed.fixture.ts';
import { adoptCounts } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { type PostgresPair, severalServers, silence, startPair } from './postgres-pair.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { type OwnPostgres, ownPostgres } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 1_000;

let deployment: Deployment;
let pair: PostgresPair<OwnPostgres>;
let pool: Deployment['pool'];
let api: Api;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  closing.push(() => deployment.close());
  const { folder, postgres } = deployment;
  if (!postgres) throw new Error('the test has no separate Postgres');
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 100 } });
  pair = await startPair<OwnPostgres>(folder, postgres, async () => {
    const standby = await ownPostgres(folder, { name: 'standby' });
    closing.push(() => standby.close());
    return standby;
  });
  const DATABASE_URL = severalServers(pair.servers.map(({ url }) => url));
  pool = createPool({ url: DATABASE_URL, max: 12, applicationName: 'e2e-test' });
  closing.push(() => pool.end());
  api = await deployment.startApi({ environment: { DATABASE_URL } });
  await deployment.startWorker({ DATABASE_URL });
  await deployment.runEveryone(api);
});
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

it('if the primary is killed or stops answering, reads and events continue at the standby, and no acknowledged event is lost', async () => {
  const audience = startAudience({
    pool,
    urls: [api.url],
    wire: deployment.wire,
    users: USERS,
    random: seededRandom('pair'),
  });
  const untilMore = async () => {
    const { fresh, acknowledged } = audience.seen;
    await until(
      'all continues',
      () => audience.seen.fresh > fresh + 200 && audience.seen.acknowledged > acknowledged + 40,
    );
  };
  await untilMore();
  for (const fallsSilent of [false, true]) {
    await pair.synchronise();
    await untilMore();
    const lost = pair.primary();
    const silent = fallsSilent ? await silence(lost) : null;
    if (!silent) await lost.end('SIGQUIT');
    await pair.promote();
    await untilMore();
    await silent?.end();
    await pair.followAgain();
    await untilMore();
  }
  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(deployment.wire.violations).toEqual([]);
  expect(audience.seen).toMatchObject({ unreachable: 0 });
  await deployment.runEveryone(api);
  await expectAllTrue(pool, [api]);
});
