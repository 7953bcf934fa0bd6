import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { likePatterns } from '../events/event-rules.ts';
import { query } from '../sql/database.ts';
import { rotateHistory } from '../sql/history-marks.ts';
import { findSettings } from '../sql/settings.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { listModelVersions } from './model-versions.ts';
import { createRegistry } from './registry.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
});
afterAll(() => database.drop());

const arms = () =>
  query<Record<string, unknown>>(database.pool, { text: 'select * from tandem.arms order by predictor' });

describe('adopt', () => {
  test('a first config creates predictor, version, artifact, arm and key type, with an audit row; adopting it again changes nothing', async () => {
    const adoption = { predictors: [visitsPredictor()], actor: 'test' };
    const first = await adopt(database.pool, adoption);
    expect(first.predictors).toMatchObject([{ predictor: 'visits', change: 'added', modelNumber: 1 }]);
    const settings = await findSettings(database.pool);
    expect(settings.keyType).toBe('int8');
    expect(await adopt(database.pool, adoption)).toMatchObject({
      predictors: [{ change: 'unchanged' }],
      deactivated: [],
    });
    expect((await findSettings(database.pool)).revision).toBe(settings.revision);
    const audit = await query(database.pool, { text: 'select actor, action, predictor from tandem.audit' });
    expect(audit).toEqual([{ action: 'adopt', actor: 'test', predictor: 'visits' }]);
  });

  test('concurrent adoptions of the same config change the database once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' })),
    );
    expect(outcomes.map((one) => one.predictors[0]?.change).sort()).toEqual(['added', ...Array(5).fill('unchanged')]);
  });

  test('another model moves the arm to version 2 without a generation; changed policies do not move it', async () => {
    await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    const outcome = await adopt(database.pool, { predictors: [visitsPredictor({ model: 'better' })], actor: 'test' });
    expect(outcome.predictors).toMatchObject([{ change: 'version', modelNumber: 2 }]);
    expect(await arms()).toMatchObject([{ generation_id: null, revision: 1 }]);
    const changed = visitsPredictor({ model: 'better' });
    const policy = { ...changed.policy, batch: { ...changed.policy.batch, chunkSize: 7 } };
    const third = await adopt(database.pool, { predictors: [{ ...changed, policy }], actor: 'test' });
    expect(third.predictors).toMatchObject([{ change: 'policy', modelNumber: 2 }]);
    expect(await arms()).toMatchObject([{ revision: 1 }]);
    expect(await listModelVersions(database.pool, { predictor: 'visits' })).toMatchObject([
      { number: 1 },
      { number: 2 },
    ]);
  });

  test('adopting the same config after a rollback does not undo it; an older model in the config moves the arm', async () => {
    const [old, better] = [visitsPredictor(), visitsPredictor({ model: 'better' })];
    const first = await adopt(database.pool, { predictors: [old], actor: 'test' });
    await adopt(database.pool, { predictors: [better], actor: 'test' });
    const oldId = first.predictors[0]?.modelVersionId;
    await database.pool.query('update tandem.arms set model_version_id = $1', [oldId]);
    await adopt(database.pool, { predictors: [better], actor: 'test' });
    expect(await arms()).toMatchObject([{ model_version_id: oldId }]);
    await adopt(database.pool, { predictors: [old], actor: 'test' });
    await adopt(database.pool, { predictors: [better], actor: 'test' });
    expect(await arms()).not.toMatchObject([{ model_version_id: oldId }]);
  });

  test('a removed predictor is deactivated, and later reactivated with its state', async () => {
    const [a, b] = [visitsPredictor(), visitsPredictor({ name: 'other' })];
    await adopt(database.pool, { predictors: [a, b], actor: 'test' });
    expect((await adopt(database.pool, { predictors: [a], actor: 'test' })).deactivated).toEqual(['other']);
    expect(await (await createRegistry(database.pool)).predictor('other')).toBeUndefined();
    const back = await adopt(database.pool, { predictors: [a, b], actor: 'test' });
    expect(back.predictors).toMatchObject([{ change: 'unchanged' }, { change: 'added', modelNumber: 1 }]);
  });

  test('another key type is rejected when users are known, and two key types in one config always', async () => {
    await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    await adopt(database.pool, { predictors: [visitsPredictor({ keyType: 'text' })], actor: 'test' });
    await database.pool.query(`insert into tandem.events (user_id) values ('someone')`);
    const refused = adopt(database.pool, { predictors: [visitsPredictor({ keyType: 'uuid' })], actor: 'test' });
    await expect(refused).rejects.toMatchObject({ code: 'config_invalid', field: 'predictors.visits.features.sql' });
    const mixed = adopt(database.pool, {
      predictors: [visitsPredictor({ keyType: 'text' }), visitsPredictor({ name: 'other' })],
      actor: 'test',
    });
    await expect(mixed).rejects.toMatchObject({
      code: 'config_invalid',
      field: 'predictors.other.features.sql',
      // The message uses the type name of a cast in the query.
      message: 'Predictor other has user ids of type bigint, but predictor visits has ids of type text.',
    });
  });

  test('an artifact that does not match its hash is rejected', async () => {
    const predictor = { ...visitsPredictor(), artifact: Buffer.from('half a mo') };
    await expect(adopt(database.pool, { predictors: [predictor], actor: 'test' })).rejects.toMatchObject({
      code: 'model_refused',
    });
  });

  test('glob patterns become LIKE patterns in which only glob wildcards match other characters', async () => {
    expect(likePatterns(['order.*', '100%_a\\b', 'a?'])).toEqual(['order.%', '100\\%\\_a\\\\b', 'a_']);
    const predictor = visitsPredictor();
    const policy = { ...predictor.policy, freshness: { ...predictor.policy.freshness, events: ['a_b\\.*'] } };
    await adopt(database.pool, { predictors: [{ ...predictor, policy }], actor: 'test' });
    await database.pool.query(`insert into tandem.events (user_id, type) values ('1', 'a_b\\.c'), ('2', 'axb\\.c')`);
    const rows = await query(database.pool, {
      text: `select user_id from tandem.user_contexts where touched ? 'visits'`,
    });
    expect(rows).toEqual([{ user_id: '1' }]);
  });
});

describe('registry', () => {
  /** Returns the revision and history that a certificate would have. */
  async function noticed(): Promise<[revision: number, history: string]> {
    const [row] = await query<{ revision: number; history: string }>(database.pool, {
      text: 'select revision, tandem.current_history() as history from tandem.settings',
    });
    return [row?.revision ?? -1, row?.history ?? ''];
  }

  test('the registry serves from memory until a later revision is reported', async () => {
    await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    const registry = createRegistry(database.pool, { now: () => 0 });
    expect(await registry.predictor('visits')).toMatchObject({
      keyType: 'int8',
      policy: { batch: { chunkSize: 100 } },
    });
    const changed = visitsPredictor();
    const policy = { ...changed.policy, batch: { ...changed.policy.batch, chunkSize: 7 } };
    await adopt(database.pool, { predictors: [{ ...changed, policy }], actor: 'test' });
    expect((await registry.predictor('visits'))?.policy.batch.chunkSize).toBe(100);
    registry.noticeRevision(...(await noticed()));
    expect((await registry.predictor('visits'))?.policy.batch.chunkSize).toBe(7);
    expect((await registry.predictors()).map((one) => one.name)).toEqual(['visits']);
  });

  test('a revision of another history is different, even if its number is the same', async () => {
    await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    const registry = createRegistry(database.pool, { now: () => 0 });
    expect((await registry.predictor('visits'))?.policy.batch.chunkSize).toBe(100);
    // A restore lost the earlier adoption, and another one was made instead.
    await database.pool.query(`update tandem.predictors set policy = jsonb_set(policy, '{batch,chunkSize}', '7')`);
    expect((await registry.predictor('visits'))?.policy.batch.chunkSize).toBe(100);
    const [revision] = await noticed();
    await rotateHistory(database.pool, 'test');
    const [afterwards, history] = await noticed();
    registry.noticeRevision(revision, history);
    expect((await registry.predictor('visits'))?.policy.batch.chunkSize).toBe(7);
    expect(afterwards).toBe(revision);
  });

  test('an unknown name is looked up again after a second', async () => {
    let now = 0;
    const registry = createRegistry(database.pool, { now: () => now });
    expect(await registry.predictor('visits')).toBeUndefined();
    await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    expect(await registry.predictor('visits')).toBeUndefined();
    now = 1_001;
    expect(await registry.predictor('visits')).toBeDefined();
  });

  test('model versions and artifacts are read as they were adopted; a damaged artifact is rejected', async () => {
    const predictor = visitsPredictor();
    const { predictors } = await adopt(database.pool, { predictors: [predictor], actor: 'test' });
    const registry = createRegistry(database.pool);
    const version = await registry.modelVersion(predictors[0]?.modelVersionId ?? '');
    expect(version).toMatchObject({ number: 1, ...predictor.definition });
    expect((await registry.loadArtifact(version.artifactHash)).equals(predictor.artifact)).toBe(true);
    await database.pool.query(`update tandem.artifacts set bytes = 'other'`);
    await expect(registry.loadArtifact(version.artifactHash)).rejects.toMatchObject({ code: 'model_refused' });
  });
});
