/**
 * Tests the previous release on this release's schema, this release on the previous schema, and an unknown protocol.
 */
import { pathToFileURL } from 'node:url';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { createEmptyDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { hasRelease, RELEASE_0_1, unpackRelease } from './previous-release.fixture.ts';
import { type Program, startProgram } from './program.fixture.ts';
import { until } from './until.fixture.ts';

describe.skipIf(!hasRelease(RELEASE_0_1))('beside the previous release', () => {
  let deployment: Deployment;
  let before: string;
  let old: { readonly api: Api; readonly worker: Program };
  let api: Api;

  beforeAll(async () => {
    deployment = await createDeployment({ ownPostgres: true });
    before = unpackRelease(RELEASE_0_1, deployment.folder);
    await adoptCounts(deployment.pool, { users: 50, freshness: { liveTimeoutMs: 20_000 } });
    old = {
      api: await deployment.startApi({ checkout: before }),
      worker: await deployment.startWorker({}, before),
    };
    api = await deployment.startApi();
  });
  afterAll(() => deployment?.close());

  /** Changes the user and sends an event. Returns its context version. */
  async function change(userId: string): Promise<number> {
    await deployment.pool.query('update counts set changes = changes + 1 where user_id = $1', [userId]);
    const [result] = await api.client.sendEvents([{ type: 'count.changed', subject: userId }]);
    return result?.contextVersion ?? -1;
  }

  async function expectFresh({ client }: Api, userId: string, least: number): Promise<void> {
    const { answer } = await client.predict(COUNT, userId);
    expect(['batch', 'live']).toContain(answer.source);
    expect(answer.predictedFromContextVersion).toBeGreaterThanOrEqual(least);
    expect(answer.prediction.score).toBeGreaterThanOrEqual(least);
  }

  it('both releases serve and compute on the newer schema, and each sees the events that the other acknowledged', async () => {
    expect(await deployment.runEveryone(old.api)).toBe('1');
    for (const one of [old.api, api]) await expectFresh(one, '1', 0);
    for (const userId of ['1', '2', '3']) {
      const version = await change(userId);
      for (const one of [old.api, api, old.api]) await expectFresh(one, userId, version);
    }
    const worker = await deployment.startWorker();
    old.worker.kill('SIGTERM');
    await old.worker.ended;
    expect(await deployment.runEveryone(api)).toBe('2');
    for (const one of [old.api, api]) await expectFresh(one, '2', 1);
    worker.kill('SIGTERM');
    await worker.ended;
  });

  it('under an unknown protocol this release answers no read, claims no work, and says so', async () => {
    const worker = await deployment.startWorker();
    old.api.kill('SIGTERM');
    await old.api.ended;
    await deployment.pool.query('update tandem.settings set protocol = 2');
    const names = 'The database follows freshness protocol 2; this release knows protocol 1 only.';
    await expect(api.client.predict(COUNT, '1')).rejects.toMatchObject({ status: 503, code: 'protocol_unknown' });
    expect(await worker.logged('protocol.unknown')).toMatchObject({ problem: names });
    const start = () => api.client.runs.start({ predictor: COUNT, scope: 'all' });
    await expect(start()).rejects.toMatchObject({ status: 503, code: 'protocol_unknown' });
    const { url } = deployment.postgres ?? { url: '' };
    const refused = startProgram('worker', { ...deployment.environment, DATABASE_URL: url });
    expect(await refused.logged('worker.refused')).toMatchObject({ problem: names });
    expect(await refused.ended).toBe(1);
    await deployment.pool.query('update tandem.settings set protocol = 1');
    await worker.logged('protocol.known');
    const { id } = await start();
    await until('the run is done', async () => (await api.client.runs.show(id)).state === 'done');
    await expectFresh(api, '1', 1);
  });

  it('on the schema of the previous release this release is not ready, and certifies nothing', async () => {
    const older = await createEmptyDatabase(inject('databaseUrl'));
    const pool = createPool({ url: older.url, max: 1, applicationName: 'e2e-test' });
    try {
      await migrate(older.url, undefined, pathToFileURL(`${before}/migrations/`));
      const environment = { DATABASE_URL: older.url };
      const started = await deployment.startApi({ environment });
      const ready = await fetch(`${started.url}/readyz`);
      expect([ready.status, await ready.json()]).toMatchObject([
        503,
        { parts: expect.arrayContaining([{ name: 'schema', status: 'failed' }]) },
      ]);
      const { status } = await fetch(`${started.url}/v1/predictions/${COUNT}/1`);
      expect([404, 503]).toContain(status);
      const worker = startProgram('worker', { ...deployment.environment, ...environment });
      expect(await worker.logged('worker.refused')).toMatchObject({ remedy: 'run `tandem migrate`' });
      expect(await worker.ended).toBe(1);
      started.kill('SIGTERM');
      await started.ended;
    } finally {
      await pool.end();
      await older.drop();
    }
  });
});
