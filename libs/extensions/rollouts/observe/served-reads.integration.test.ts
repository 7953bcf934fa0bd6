import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../../../apps/api/api.fixture.ts';

let api: TestApi;
beforeEach(async () => {
  api = await createTestApi();
});
afterEach(() => api?.close());

/** Creates an A/B test without arms, so that the stable arm serves every user. Returns its id. */
async function beginRollout(): Promise<string> {
  const { rows } = await api.pool.query<{ id: string }>(
    `insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by)
      values ('repurchase', 1, 'ab', 'running', 's', '{}', 1, 'test') returning id`,
  );
  return rows[0]?.id ?? '';
}

async function counted() {
  const { rows } = await api.pool.query<{ arm: string; source: string; reads: number; errors: number }>(
    `select arm, source, sum((counts ->> 'reads')::int)::int as reads, sum((counts ->> 'errors')::int)::int as errors
      from tandem.arm_counts group by arm, source order by source`,
  );
  return rows;
}

const exposed = async () =>
  (await api.pool.query('select user_id, arm, source from tandem.exposures order by user_id')).rows;

const FIXTURE = fileURLToPath(new URL('./served-reads.fixture.ts', import.meta.url));

/** The least exposures before a process is killed. They are stored after the counts of the same flush. */
const LEAST_EXPOSURES = 11;

/** Serves until `least` reads are stored and then kills the process. Returns the number of served reads. */
async function serveUntilKept(rolloutId: string, least: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [FIXTURE, api.databaseUrl, rolloutId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let served = 0;
  if (child.stdout === null) throw new Error('it has no output');
  for await (const line of createInterface({ input: child.stdout })) {
    const [soFar = 0, kept = 0, exposures = 0] = line.split(' ').map(Number);
    served = soFar;
    if (kept >= least && exposures >= LEAST_EXPOSURES) child.kill('SIGKILL');
  }
  expect((await ended)[1]).toBe('SIGKILL');
  return served;
}

it('the counts of killed processes add up to their stored reads', async () => {
  const rolloutId = await beginRollout();
  const first = await serveUntilKept(rolloutId, 20);
  const [afterFirst] = await counted();
  expect(afterFirst?.reads).toBeGreaterThanOrEqual(20);
  // The process may have stored more reads after its last line.
  expect(afterFirst?.reads).toBeLessThanOrEqual(first + 20);
  const second = await serveUntilKept(rolloutId, (afterFirst?.reads ?? 0) + 20);
  const [afterBoth] = await counted();
  expect(afterBoth?.reads).toBeGreaterThanOrEqual((afterFirst?.reads ?? 0) + 20);
  expect(afterBoth?.reads).toBeLessThanOrEqual((afterFirst?.reads ?? 0) + second + 20);
  const users = (await exposed()).map(({ user_id }) => user_id);
  expect(users.filter((userId) => userId === '1')).toHaveLength(1);
  expect(users.length).toBeGreaterThanOrEqual(LEAST_EXPOSURES);
});

it('answers during a rollout are counted by arm and source, and each exposed user once', async () => {
  const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
  await workOff(api, ((await started.json()) as { id: string }).id);
  await api.get('/v1/predictions/repurchase/1');
  const rolloutId = await beginRollout();
  await api.pool.query(`insert into tandem.arm_overrides values ($1, '9', 'stable')`, [rolloutId]);
  expect((await api.get('/v1/predictions/repurchase/1')).status).toBe(200);
  expect((await api.get('/v1/predictions/repurchase/9')).status).toBe(200);
  await api.post('/v1/predictions/repurchase', { userIds: ['1', '2', '2', '012', '777'] });
  await api.get('/v1/predictions/repurchase/3', { 'cache-control': 'no-cache' });
  expect((await api.get('/v1/predictions/repurchase/4', { 'cache-control': 'only-if-cached, max-age=0' })).status).toBe(
    504,
  );
  await api.dependencies.close();
  expect(await counted()).toEqual([
    { arm: 'stable', source: 'batch', reads: 4, errors: 0 },
    { arm: 'stable', source: 'live', reads: 1, errors: 0 },
  ]);
  expect(await exposed()).toEqual([
    { user_id: '1', arm: 'stable', source: 'batch' },
    { user_id: '2', arm: 'stable', source: 'batch' },
    { user_id: '3', arm: 'stable', source: 'live' },
  ]);
});

it('a failed read counts as an error of its arm', async () => {
  await api.close();
  api = await createTestApi({ onLiveFailure: 'error' });
  await beginRollout();
  await api.pool.query('alter table customers rename to gone');
  expect((await api.get('/v1/predictions/repurchase/1')).status).toBe(503);
  await api.dependencies.close();
  expect(await counted()).toEqual([{ arm: 'stable', source: 'error', reads: 1, errors: 1 }]);
  expect(await exposed()).toEqual([{ user_id: '1', arm: 'stable', source: 'error' }]);
});
