/** A worker that runs but gets no jobs resumes if it can. If it cannot, it exits and is started again. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCli } from '../../apps/cli/cli.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import type { LogLine } from './program.fixture.ts';
import { startQueueProxy } from './queue-proxy.fixture.ts';
import { makeFolder } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
/** The lowest value that the setting allows. */
const WATCHDOG = { WATCHDOG_MS: '10000' };

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 100 } });
});
afterAll(() => deployment?.close());

it('resumes after the queue was stopped for longer than the time limit of a silent connection', async () => {
  const environment = { ...WATCHDOG, QUEUE_REDIS_URL: `${deployment.redis.url}/1` };
  const api = await deployment.startApi({ environment });
  const worker = await deployment.startWorker(environment);
  deployment.redis.signal('SIGSTOP');
  await worker.logged('queue.redis_away');
  deployment.redis.signal('SIGCONT');
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });
  const run = await until('the run has ended', async () => {
    const found = await api.client.runs.show(id);
    return found.finishedAt === null ? null : found;
  });
  expect(run).toMatchObject({ state: 'done', usersScored: USERS, usersFailed: 0 });
  expect(worker.hasEnded()).toBe(false);
  expect(worker.lines.filter(({ event }) => event === 'worker.dead')).toEqual([]);
});

it('exits with a reason if its connections never bring a job again, and tandem up starts it again', async () => {
  const proxy = await startQueueProxy(`${deployment.redis.url}/2`);
  const cwd = await makeFolder();
  const [port, health] = [await findFreePort(), await findFreePort()];
  const env = { ...WATCHDOG, QUEUE_REDIS_URL: proxy.url, WORKER_PORT: String(health) };
  const up = startCli(['up', '--example', '--port', String(port)], { cwd, env });
  const livez = () => fetch(`http://127.0.0.1:${health}/livez`);
  try {
    await up.waitFor(/Ctrl-C stops everything/);
    expect((await livez()).status).toBe(200);
    const client = createClient({ url: `http://127.0.0.1:${port}` });
    proxy.wedge();
    const { id } = await client.runs.start({ predictor: 'repurchase', scope: 'all' });
    const unwell = await until('the worker reports itself as unhealthy', async () => {
      const answer = await livez();
      return answer.status === 503 ? answer : null;
    });
    const why = (await unwell.text()).trim();
    expect(why).toMatch(/^\d+ \w+ jobs wait, and none was taken for \d+ s$/);
    await up.waitFor(/worker died \(exit code 1\): restarting it/);
    expect(proxy.wedged()).toBeGreaterThan(0);
    expect(await logged(cwd, 'worker.dead')).toMatchObject({ why });
    expect(await logged(cwd, 'worker.stopped')).toMatchObject({ reason: why, drained: true });

    proxy.heal();
    await until('the run has ended', async () => (await client.runs.show(id)).finishedAt);
    expect(await client.runs.show(id)).toMatchObject({ state: 'done', generation: '2' });
    expect((await livez()).status).toBe(200);
  } finally {
    up.kill('SIGTERM');
    await up.ended;
    proxy.close();
    await rm(cwd, { recursive: true, force: true });
  }
});

/** Returns the last line of that event in the log of the worker that `tandem up` started in this folder. */
async function logged(folder: string, event: string): Promise<LogLine | undefined> {
  const text = await readFile(join(folder, '.tandem/logs/worker.log'), 'utf8');
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as LogLine).findLast((line) => line.event === event);
}
