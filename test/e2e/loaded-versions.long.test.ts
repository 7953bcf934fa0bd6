/**
 * Every process loads a model version before the version serves users. The register shows the state of each process and
 * the reason of a failure. A process counts as long as it runs.
 */
import { insertCandidate } from '@tandem/offline-store/candidate.fixture';
import { GONE_AFTER_MS, readinessOf } from '@tandem/offline-store/processes/processes';
import { mayServe } from '@tandem/prediction/processes/processes';
import { denseModel } from '@tandem/testing/sized-model';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

/** A model with 72 MB of weights, which needs more than a child of 256 MB has, but fits into a child of 1 GB. */
const LARGE = denseModel({ width: 1, units: 3_000, layers: 3 });
const candidate = loadedPredictor({ name: COUNT, model: LARGE, columns: ['changes'], freshness: {}, batch: {} });

let deployment: Deployment;
let roomy: Api;
let tight: Api;
let id: string;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: 10, freshness: { liveTimeoutMs: 20_000 } });
  roomy = await deployment.startApi({ environment: { INFERENCE_MEMORY_MB: '1024' } });
  tight = await deployment.startApi({ environment: { INFERENCE_MEMORY_MB: '256' } });
  await until('both have the stable version', async () => (await stateAt(1, roomy)) && (await stateAt(1, tight)));
});
afterAll(() => deployment?.close());

/** Returns whether the register shows this state of a version for a process. */
async function stateAt(version: number, { pid }: Pick<Api, 'pid'>, wanted = 'ready'): Promise<boolean> {
  const listed = (await roomy.client.processes()).find((one) => one.pid === pid);
  return listed?.models.find(({ modelVersion }) => modelVersion === String(version))?.state === wanted;
}

const judge = async () => mayServe(await readinessOf(deployment.pool, [id]));

it('a version that one of two processes cannot load serves no users, and the service names the process and the reason', async () => {
  id = await insertCandidate(deployment.pool, candidate);
  await until(
    'one has it, one has failed',
    async () => (await stateAt(2, roomy)) && (await stateAt(2, tight, 'failed')),
  );
  const said = await judge();
  expect(said).toMatchObject({ ok: false, waiting: [] });
  const [failed = '', ...others] = said.ok ? [] : said.failed;
  expect(others).toEqual([]);
  expect(failed).toMatch(
    new RegExp(`^api ${tight.pid} on .* cannot load model version 2 of ${COUNT}: .*(memory|allocate)`),
  );
  expect((await tight.logged('model.not_ready')).modelVersionId).toBe(id);
  // The stable version keeps its users, and the candidate has none.
  for (const { client } of [roomy, tight]) {
    await until('users have the stable version', async () => {
      const { answer } = await client.predict(COUNT, '1', { noCache: true });
      return answer.source === 'live' && answer.modelVersion === '1';
    });
  }
  await until('it is ready', async () => (await statusOf(tight)) === 'ready');
});

it('if such a version serves users anyway, the process reports that it is not ready for them', async () => {
  await deployment.pool.query("update tandem.arms set end_bucket = 100 where name = 'candidate'");
  await until('it says so', async () => (await statusOf(tight)) === 'degraded');
  await tight.logged(
    'readiness.failed',
    ({ part, error }) => part === 'inference' && JSON.stringify(error).includes(id),
  );
  await until('the other is ready', async () => (await statusOf(roomy)) === 'ready');
  await deployment.pool.query("update tandem.arms set end_bucket = 0 where name = 'candidate'");
  await until('it is ready again', async () => (await statusOf(tight)) === 'ready');
});

it('a killed process counts until it has not been seen for some time', async () => {
  tight.kill('SIGKILL');
  await tight.ended;
  expect(await judge()).toMatchObject({ ok: false });
  // Simulates the time that passes.
  await deployment.pool.query(`update tandem.processes set seen_at = seen_at - $1 * interval '1 ms' where pid = $2`, [
    GONE_AFTER_MS,
    tight.pid,
  ]);
  expect(await judge()).toEqual({ ok: true });
});

it('a rollout waits for a starting process, and not for a process that has shut down', async () => {
  const mended = await deployment.startApi({ environment: { INFERENCE_MEMORY_MB: '1024' } });
  await until('it has both', async () => (await stateAt(1, mended)) && (await stateAt(2, mended)));
  expect(await judge()).toEqual({ ok: true });
  mended.kill('SIGTERM');
  expect(await mended.ended).toBe(0);
  const { rows } = await deployment.pool.query('select pid from tandem.processes');
  expect(rows).toEqual([{ pid: roomy.pid }]);
});

it('a damaged artifact is reported, and is loaded once it is restored', async () => {
  const { pool } = deployment;
  const damage = `update tandem.artifacts set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where hash = $1`;
  await pool.query(damage, [candidate.definition.artifactHash]);
  const another = await deployment.startApi({ environment: { INFERENCE_MEMORY_MB: '1024' } });
  await until('it has failed', () => stateAt(2, another, 'failed'));
  expect(JSON.stringify(await judge())).toContain(`api ${another.pid} on`);
  expect(JSON.stringify(await judge())).toContain('is damaged');
  await pool.query(damage, [candidate.definition.artifactHash]);
  await until('it has it', () => stateAt(2, another));
  expect(await judge()).toEqual({ ok: true });
});

it('a worker loads the version too and is listed, but no rollout waits for a worker', async () => {
  const worker = await deployment.startWorker({ INFERENCE_MEMORY_MB: '256' });
  await until('it has failed', () => stateAt(2, worker, 'failed'));
  expect(await stateAt(1, worker)).toBe(true);
  expect(await judge()).toEqual({ ok: true });
  expect(deployment.wire.violations).toEqual([]);
});

async function statusOf({ url }: Api): Promise<string> {
  return ((await (await fetch(`${url}/readyz`)).json()) as { status: string }).status;
}
