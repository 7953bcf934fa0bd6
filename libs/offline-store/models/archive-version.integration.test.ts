import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { query } from '../sql/database.ts';
import { visitsPredictor } from '../store.fixture.ts';
import { listModelVersions } from './model-versions.ts';
import { archiveVersion } from './version-labels.ts';

const { database, renew, start, workAll } = await createRunsWorld({ users: 10 });
afterAll(() => database.drop());

const serve = (model: string) => adopt(database.pool, { predictors: [visitsPredictor({ model })], actor: 'test' });
const archive = (number: number, archived = true) =>
  archiveVersion(database.pool, { predictor: 'visits', number, archived, actor: 'key:ops' });
const archived = async () => (await listModelVersions(database.pool)).map(({ archivedAt }) => archivedAt !== null);

/** Version 1 was stable with generation 1; version 2 is now stable. */
beforeEach(async () => {
  await renew();
  await workAll(await start());
  await serve('second');
});

test('an archived version cannot be the target of a rollout or a rollback until it is unarchived', async () => {
  await archive(1);
  await archive(1);
  expect(await archived()).toEqual([true, false]);
  const plan = { kind: 'shadow', version: 1, share: 0.1, maxPerSecond: 10 } as const;
  const refusal = {
    code: 'version_archived',
    remedy: expect.stringContaining('tandem model unarchive visits 1'),
  };
  const rollouts = createRolloutStore(database.pool);
  const generations = createGenerationStore(database.pool);
  const begin = () => rollouts.create({ predictor: 'visits', plan, actor: 'ops' });
  await expect(begin()).rejects.toMatchObject({ ...refusal, field: 'version' });
  const back = { predictor: 'visits', to: 1, actor: 'ops' };
  await expect(generations.rollBack(back)).rejects.toMatchObject({ ...refusal, field: 'to' });
  await archive(1, false);
  expect((await generations.rollBack(back)).to.modelNumber).toBe(1);
  const audit = await query<{ action: string }>(database.pool, {
    text: `select action from tandem.audit where actor = 'key:ops' order by seq`,
  });
  expect(audit.map(({ action }) => action)).toEqual(['archive_version', 'unarchive_version']);
});

test('a version that an arm serves cannot be archived; serving an archived version again unarchives it', async () => {
  await expect(archive(2)).rejects.toMatchObject({
    code: 'version_in_use',
    message: 'Model version 2 of visits is served as stable.',
  });
  await expect(archive(3)).rejects.toMatchObject({ code: 'unknown_model_version' });
  await serve('third');
  await archive(2);
  await serve('second');
  expect(await archived()).toEqual([false, false, false]);
});
