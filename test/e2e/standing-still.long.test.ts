/**
 * A process with a blocked event loop ignores SIGTERM and serves no requests. Its watchdog ends it and logs the reason.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import { running } from './program.fixture.ts';
import { until } from './until.fixture.ts';

/** Makes the process loop for ever at SIGUSR2, without a change of the product. */
const environment = {
  WATCHDOG_MS: '10000',
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent('process.on("SIGUSR2", () => { for (;;); })')}`,
};

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: 10, freshness: { liveTimeoutMs: 20_000 } });
});
afterAll(() => deployment?.close());

it('ends a blocked API and worker with their inference children; a process that was only stopped continues', async () => {
  const api = await deployment.startApi({ environment });
  const worker = await deployment.startWorker(environment);
  const calm = await deployment.startApi({ environment });
  await api.client.predict('count', '1');
  const children = api.children();
  calm.kill('SIGSTOP');
  for (const program of [api, worker]) program.kill('SIGUSR2');
  for (const program of [api, worker]) {
    expect(await program.ended).toBe('SIGKILL');
    expect(program.lines.at(-1)).toMatchObject({
      event: 'process.stuck',
      level: 'error',
      name: program.name,
      why: 'the event loop was blocked for 10 s',
    });
  }
  await until('the inference children have ended', () => running(children).length === 0);
  calm.kill('SIGCONT');
  expect((await calm.client.predict('count', '2')).answer).toMatchObject({ userId: '2' });
  calm.kill('SIGTERM');
  expect(await calm.ended).toBe(0);
  expect(calm.lines.filter(({ event }) => event === 'process.stuck')).toEqual([]);
});
