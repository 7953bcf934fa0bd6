import { expect, onTestFinished, test } from 'vitest';
import { createSlowWorld, SLOW_PLAN } from './run-steps.fixture.ts';

test('another worker makes the plan of a killed worker after its lease has expired', async () => {
  // The plan must be found asleep, even if this process was paused.
  const world = await createSlowWorld({ seconds: 6, planTimeout: 6 });
  onTestFinished(() => world.close());
  const first = world.startWorker();
  await first.until('worker.started');
  const runId = await world.ask(SLOW_PLAN);
  await world.until(async () => (await world.asleep()).plans === 1);
  first.kill('SIGKILL');
  await first.ended;
  const second = world.startWorker();
  const line = await second.until('job.ended', ({ runId: id, takenOver }) => id === runId && takenOver === true);
  expect(line).toMatchObject({ job: 'plan-run', outcome: 'done', attempts: 2 });
  expect(await world.ended(runId)).toMatchObject({ state: 'done', generationNumber: 1 });
});
