/** Reads while a watch has a fault: a change of its tables may raise no version. */
import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PLAIN_READ } from './read-options.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 20 });
  await world.run({ kind: 'all' });
});
afterAll(() => world?.close());

it('infers for each read, since an inference from before the read may lack a change', async () => {
  const read = world.createReader();
  const answers = async (...userIds: string[]) => (await read(PREDICTOR, userIds, PLAIN_READ)).map(inShort);
  const before = await answers('5');
  expect(before).toEqual([expect.stringContaining('batch fresh')]);
  const fault = `insert into tandem.watch_faults (watch, predictor, reason, detail) values (1, $1, 'ddl', 'changed')`;
  await world.pool.query(fault, [PREDICTOR]);
  const [first] = await answers('5');
  expect(first).toContain('live context_newer');
  // Without a trigger, no version rises. The inference above has just ended, and others could share it.
  await world.pool.query('update counts set changes = 7 where user_id = 5');
  const [second] = await answers('5');
  expect(second).toContain('live context_newer');
  expect(second).not.toBe(first);
  await world.pool.query('delete from tandem.watch_faults');
});
