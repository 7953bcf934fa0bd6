/**
 * A feature query that fails for one user: the other users of the statement are answered, each from another statement.
 */
import { randomUUID } from 'node:crypto';
import type { Certificate } from '@tandem/freshness/certificate';
import { TandemError } from '@tandem/freshness/errors';
import type { LiveRequest } from '@tandem/freshness/live-predictor';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGate, createPredictionWorld, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import { createLivePredictor, type LivePredictorDependencies } from './live-prediction.ts';

const USERS = 200;
/** The users that one statement reads. */
const READ = Array.from({ length: 100 }, (_, i) => String(i + 1));

let world: PredictionWorld;
let certificate: Certificate;
let statements: string[][];

beforeAll(async () => {
  world = await createPredictionWorld({ users: USERS });
  certificate = await world.authority.certify([]);
});
beforeEach(() => {
  statements = [];
});
afterAll(() => world?.close());

function createLive(features: Partial<LivePredictorDependencies['features']> = {}) {
  const source = { ...world.features, ...features };
  return createLivePredictor({
    features: {
      ...source,
      readUsers(version, userIds, certified) {
        statements.push([...userIds]);
        return source.readUsers(version, userIds, certified);
      },
    },
    scorer: world.inference,
    overlay: world.overlay,
    keepLater: () => {},
    keepNow: world.overlayRows.put,
  });
}

/**
 * Returns a request for users of a predictor with a failing query.
 * @param failing an expression that makes the query fail for some users
 */
async function requestFor(userIds: readonly string[], failing: string): Promise<LiveRequest> {
  const assignment = certificate.assignments(PREDICTOR)?.stable;
  if (!assignment) throw new Error('nothing is assigned');
  const served = await world.registry.modelVersion(assignment.modelVersionId);
  const sql = `select user_id, changes + 0 * (${failing})::int as changes from counts`;
  const version: ModelVersion = { ...served, id: randomUUID(), query: { ...served.query, sql } };
  return {
    version,
    assignment,
    history: certificate.history,
    timeoutMs: 10_000,
    enabled: true,
    readers: userIds.map((userId) => ({ userId, minVersion: 0, fresh: false })),
  };
}

describe('a feature query that fails for one user', () => {
  it('fails for that user alone, with the message of Postgres; all others are answered', async () => {
    const outcomes = await createLive().predict(await requestFor(READ, '1 / (user_id - 37)'));
    expect(outcomes.get('37')).toEqual({ kind: 'failed', reason: 'features_failed', detail: 'division by zero' });
    const others = READ.filter((userId) => userId !== '37');
    expect(others.filter((userId) => outcomes.get(userId)?.kind !== 'predicted')).toEqual([]);
    expect(statements.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(READ.length)) + 1);
  });

  it('answers each other user from a new statement, with the certificate of that statement', async () => {
    const [request] = [await requestFor(['50', '51'], '1 / (user_id - 51)')];
    const live = createLive({
      async readUsers(version, userIds, certified) {
        // The user changes between the two statements. The smaller statement reads the change and certifies it.
        if (userIds.length === 1 && userIds[0] === '50') await world.change('50', 3);
        return world.features.readUsers(version, userIds, certified);
      },
    });
    const outcome = (await live.predict(request as LiveRequest)).get('50');
    if (outcome?.kind !== 'predicted') throw new Error(`user 50: ${JSON.stringify(outcome)}`);
    expect(outcome.contextVersion).toBe(1);
    expect(outcome.certificate.user('50', PREDICTOR).version).toBe(1);
    expect(outcome.inputs.batch.values[0]?.[outcome.inputs.row]).toBe(3);
  });

  it('is remembered: the next statements leave that user out until the row is fixed', async () => {
    await world.pool.query('update counts set changes = 7 where user_id = 60');
    const live = createLive();
    const asked = await requestFor(READ, '1 / (changes - 7)');
    // These readers accept no answer of an earlier statement.
    const request = { ...asked, readers: asked.readers.map((reader) => ({ ...reader, fresh: true })) };
    await live.predict(request);
    statements.length = 0;
    const outcomes = await live.predict(request);
    expect(statements.map(({ length }) => length)).toEqual([READ.length - 1, 1]);
    expect(outcomes.get('60')).toMatchObject({ reason: 'features_failed' });
    await world.pool.query('update counts set changes = 0 where user_id = 60');
    expect((await live.predict(request)).get('60')).toMatchObject({ kind: 'predicted' });
    statements.length = 0;
    await live.predict(request);
    expect(statements.map(({ length }) => length)).toEqual([READ.length]);
  });

  it('names each of several such users', async () => {
    const outcomes = await createLive().predict(await requestFor(READ, '1 / (user_id % 20)'));
    const failed = READ.filter((userId) => outcomes.get(userId)?.kind === 'failed');
    expect(failed).toEqual(['20', '40', '60', '80', '100']);
    for (const userId of failed) expect(outcomes.get(userId)).toMatchObject({ reason: 'features_failed' });
  });
});

describe('a feature query that fails for every user', () => {
  it('costs a limited number of statements, and names the last failure', async () => {
    const outcomes = await createLive().predict(await requestFor(READ, '1 / (user_id - user_id)'));
    expect(statements.length).toBeLessThanOrEqual(16);
    expect(outcomes.get('1')).toMatchObject({
      reason: 'live_failed',
      detail: expect.stringMatching(/after 16 failures of the feature query; the last failure: SQLSTATE 22012$/),
    });
    expect([...outcomes.values()].filter(({ kind }) => kind !== 'failed')).toEqual([]);
  });

  it('quotes no value of a row, since the detail of live_failed is logged', async () => {
    const outcomes = await createLive().predict(await requestFor(READ, "'secret of ' || user_id"));
    expect(outcomes.get('1')).toMatchObject({
      reason: 'live_failed',
      detail: expect.stringMatching(/the last failure: SQLSTATE 22P02$/),
    });
    expect(JSON.stringify([...outcomes.values()])).not.toContain('secret');
  });

  it('is sent only once if Postgres rejects its text', async () => {
    const outcomes = await createLive().predict(await requestFor(READ, 'no_such_column'));
    expect(statements).toHaveLength(1);
    expect(outcomes.get('1')).toMatchObject({
      reason: 'live_failed',
      detail: expect.stringContaining('column "no_such_column" does not exist'),
    });
  });
});

it('an outage does not split a statement', async () => {
  const away = new TandemError('unavailable', 'The database does not answer at the moment.');
  const live = createLive({ readUsers: () => Promise.reject(away) });
  const outcomes = await live.predict(await requestFor(READ, '0'));
  expect(statements).toHaveLength(1);
  expect(outcomes.get('1')).toMatchObject({ reason: 'live_timeout' });
});

it('users of readers that have timed out are not read again', async () => {
  const gate = createGate();
  const live = createLive({
    async readUsers(version, userIds, certified) {
      if (userIds.length > 1) await gate.pass();
      return world.features.readUsers(version, userIds, certified);
    },
  });
  const request = await requestFor(READ, '1 / (user_id - 37)');
  const outcomes = await live.predict({ ...request, timeoutMs: 50 });
  expect(new Set([...outcomes.values()].map((outcome) => 'reason' in outcome && outcome.reason))).toEqual(
    new Set(['live_timeout']),
  );
  gate.open();
  // There is one statement line: a later statement is sent after any statement that the failure would send.
  await expect
    .poll(() => live.predict(only(request, '37')))
    .toMatchObject(new Map([['37', { reason: 'features_failed' }]]));
  expect(statements.map(({ length }) => length)).toEqual([100, 1]);
});

function only(request: LiveRequest, userId: string): LiveRequest {
  return { ...request, readers: request.readers.filter((reader) => reader.userId === userId) };
}
