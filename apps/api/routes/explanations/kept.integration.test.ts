import { createHash } from 'node:crypto';
import { getPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { KeptExplanation, KeptPage, Replay } from '@tandem/client/explanations';
import type { Answer } from '@tandem/freshness/answer';
import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { isKept } from '@tandem/prediction/explanations/explanation-keeper';
import { inferenceChildren } from '@tandem/rollouts/observe/observe-shadow.fixture';
import * as hostile from '@tandem/testing/hostile-models';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestApi, repurchase, scoreOf, type TestApi, workOff } from '../../api.fixture.ts';

vi.setConfig({ testTimeout: 240_000 });
const PATIENCE = { timeout: 30_000, interval: 100 };
/** The most attempts of a replay, and the pause between them. A model that could not be loaded rests for a second. */
const REPLAYS = 10;
const REPLAY_PAUSE_MS = 1_000;

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  await keepOf({ share: 1, keepForMs: 3_600_000 });
});
afterAll(() => api?.close());

/** Sets the predictor's `explanations`, for later reads. */
async function keepOf(explanations: { share: number; keepForMs: number } | null): Promise<void> {
  await api.pool.query(
    `update tandem.predictors set policy = case when $1::jsonb is null then policy - 'explanations'
      else policy || jsonb_build_object('explanations', $1::jsonb) end`,
    [explanations && JSON.stringify(explanations)],
  );
  await api.pool.query('update tandem.settings set revision = revision + 1');
  const { authority, registry } = api.dependencies.app;
  await authority.certify([]);
  // On a busy machine the registry may learn of the change later.
  await vi.waitFor(async () => {
    expect((await registry.predictor('repurchase'))?.policy.explanations ?? null).toEqual(explanations);
  }, PATIENCE);
}

const kept = async (query: string) => (await (await api.get(`/v1/explanations?${query}`)).json()) as KeptPage;
const read = async (userId: string, headers = {}) =>
  (await (await api.get(`/v1/predictions/repurchase/${userId}`, headers)).json()) as Record<string, unknown>;
const change = (userId: string, data?: Record<string, unknown>) =>
  api.post(
    '/v1/events',
    {
      specversion: '1.0',
      id: `e${userId}`,
      source: '/test',
      type: 'order.placed',
      subject: userId,
      ...(data && { data }),
    },
    { 'content-type': 'application/cloudevents+json' },
  );

const metrics = async () => (await (await api.get('/metrics', { accept: 'text/plain' })).text()).split('\n');

/** Waits until the user has `count` explanations, and returns the newest. */
async function newestOf(userId: string, count = 1): Promise<KeptExplanation> {
  await expect.poll(async () => (await kept(`userId=${userId}`)).explanations.length, PATIENCE).toBe(count);
  return (await kept(`userId=${userId}`)).explanations[0] as KeptExplanation;
}

/**
 * Replays an explanation. On a busy machine a replay may get too little processor time to judge the model, and the
 * answer says to retry.
 */
async function replay(id: string): Promise<Replay> {
  for (let attempt = 1; ; attempt++) {
    const response = await replayOnce(id);
    if (response.status !== 503 || attempt === REPLAYS) {
      expect(response.status).toBe(200);
      return (await response.json()) as Replay;
    }
    await pause(REPLAY_PAUSE_MS);
  }
}

const replayOnce = (id: string) => api.post(`/v1/explanations/${id}/replay`);

const tamper = (id: string, column: 'answer' | 'inputs', from: string, to: string) =>
  api.pool.query(
    `update tandem.kept_explanations set ${column} = replace(${column}::text, $2, $3)::json
      where id = $1 and position($2 in ${column}::text) > 0`,
    [id, from, to],
  );

describe('an answer of a user whose answers are kept', () => {
  it('that was inferred keeps the inputs of that inference with their events, and a replay agrees', async () => {
    expect((await change('4', { orders: 9 })).status).toBe(202);
    const answer = await read('4');
    expect(answer.source).toBe('live');
    // A later change must not show in the explanation.
    await api.pool.query('update customers set recency = 77 where user_id = 4');
    const explanation = await newestOf('4');
    expect(explanation).toMatchObject({
      answer,
      noInputs: null,
      inputs: {
        read: 'for_the_answer',
        contextVersion: 1,
        ofSameContext: true,
        fault: null,
        readAt: answer.computedAt,
      },
    });
    expect(explanation.inputs?.features).toEqual([
      { name: 'recency', value: 40, from: 'row' },
      {
        ...{ name: 'orders', value: 9, from: 'event' },
        event: { source: '/test', id: 'e4', time: expect.any(String), acceptedAt: expect.any(String) },
      },
    ]);
    expect(await replay(explanation.id)).toMatchObject({
      ...{ id: explanation.id, verdict: 'agrees', reason: 'equal to the last bit', difference: null },
      ...{ kept: answer.prediction, recomputed: answer.prediction },
    });
    expect(await (await api.get(`/v1/explanations/${explanation.id}`)).json()).toEqual(explanation);
    expect(await api.pool.query('select from tandem.kept_explanations where at > clock_timestamp()')).toHaveProperty(
      'rowCount',
      0,
    );
  });

  it('is replayed in a separate process with a higher nice value than the serving processes', async () => {
    await read('1');
    const serving = inferenceChildren().map(({ pid }) => pid);
    await replay((await newestOf('1')).id);
    // A serving process has the same nice value for a while when it loads a model.
    const own = () => inferenceChildren().filter(({ niceness }) => niceness > getPriority() + 10);
    await expect.poll(own, PATIENCE).toEqual([{ pid: expect.any(Number), niceness: 19 }]);
    expect(inferenceChildren().map(({ pid }) => pid)).toEqual(expect.arrayContaining(serving));
  });

  it('differs from its replay if an input was changed, and the replay says by how much', async () => {
    await change('3', { orders: 5 });
    await read('3');
    const { id, inputs } = await newestOf('3');
    expect(inputs?.features.map(({ event }) => event?.id)).toEqual([undefined, 'e3']);
    expect((await replay(id)).verdict).toBe('agrees');
    expect(await tamper(id, 'inputs', '"name":"orders","value":5', '"name":"orders","value":4')).toHaveProperty(
      'rowCount',
      1,
    );
    const { verdict, difference, tolerance } = await replay(id);
    expect([verdict, difference?.output]).toEqual(['differs', 'score']);
    expect(difference?.kept).toBeCloseTo(scoreOf(30, 5), 5);
    expect(difference?.recomputed).toBeCloseTo(scoreOf(30, 4), 5);
    expect(difference?.difference).toBeCloseTo(scoreOf(30, 5) - scoreOf(30, 4), 5);
    expect(tolerance).toBe(1e-5);
    expect(difference?.ofAllowed).toBeGreaterThan(1_000);
  });

  it('that was stored keeps the features read right after the reply, and says so', async () => {
    const run = (await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json()) as {
      id: string;
    };
    await workOff(api, run.id);
    const answer = await read('5');
    expect(answer).toMatchObject({ source: 'batch', reason: 'fresh', generation: '1' });
    const explanation = await newestOf('5');
    expect(explanation).toMatchObject({
      answer,
      inputs: {
        ...{ read: 'after_the_reply', contextVersion: 0, ofSameContext: true },
        features: [
          { name: 'recency', value: 50, from: 'row' },
          { name: 'orders', value: 5, from: 'row' },
        ],
      },
    });
    expect((await replay(explanation.id)).verdict).toBe('agrees');
  });

  it('from an older context is not expected to be reproduced', async () => {
    await change('6', { orders: 1 });
    expect(await read('6', { 'cache-control': 'max-stale' })).toMatchObject({ source: 'stale' });
    const { id, inputs } = await newestOf('6');
    expect(inputs).toMatchObject({ contextVersion: 1, ofSameContext: false });
    expect(await replay(id)).toMatchObject({
      verdict: 'inputs_changed',
      reason: expect.stringContaining('context version 0'),
      recomputed: { score: expect.closeTo(scoreOf(60, 1), 5) },
    });
  });

  it('that was not computed is not replayed', async () => {
    await api.pool.query(`insert into customers values (10, 'NaN', 1, now() - interval '1 hour')`);
    expect(await read('10')).toMatchObject({ source: 'default', reason: 'features_unusable' });
    const { id, inputs } = await newestOf('10');
    expect(inputs?.fault).toContain('recency is NaN');
    expect(await replay(id)).toMatchObject({
      verdict: 'refused',
      reason: expect.stringContaining('default'),
      recomputed: null,
    });
  });

  it('of a model that now hangs is refused by a replay, which delays no read', async () => {
    await read('2');
    const { id } = await newestOf('2');
    await api.pool.query('update tandem.kept_explanations set model_version_id = $2 where id = $1', [
      id,
      await endlessVersion(),
    ]);
    const serving = inferenceChildren().filter(({ niceness }) => niceness <= getPriority() + 10);
    // Not repeated, since a repetition would hide a replay that ends before the read.
    let isOver = false;
    const asked = replayOnce(id).finally(() => {
      isOver = true;
    });
    const answer = await read('2', { 'cache-control': 'no-cache' });
    expect({ ...answer, isOver }).toMatchObject({ source: 'live', reason: 'requested', isOver: false });
    const { status } = await asked;
    expect([200, 503]).toContain(status);
    expect(status === 200 ? await (await asked).json() : await replay(id)).toMatchObject({
      verdict: 'refused',
      recomputed: null,
    });
    expect(inferenceChildren()).toEqual(expect.arrayContaining(serving));
  });

  it('is deleted by an erasure, and not kept if it would be written after the erasure', async () => {
    const [before] = await api.dependencies.app.readPrediction('repurchase', ['4'], PLAIN_READ);
    const { id } = await newestOf('4');
    const erased = await api.app.request('/v1/users/4', { method: 'DELETE' });
    expect(await erased.json()).toMatchObject({ deleted: { postgres: { keptExplanations: 1 } } });
    expect((await api.get(`/v1/explanations/${id}`)).status).toBe(404);
    expect((await api.post(`/v1/explanations/${id}/replay`)).status).toBe(404);
    const { explanationKeeper, registry } = api.dependencies.app;
    const predictor = await registry.predictor('repurchase');
    if (!predictor) throw new Error('nothing is adopted');
    explanationKeeper.notice(before as Answer, predictor);
    await expect
      .poll(metrics, PATIENCE)
      .toContain('tandem_kept_explanations_total{predictor="repurchase",outcome="left_out",app="api"} 1');
    expect((await kept('userId=4')).explanations).toEqual([]);
  });
});

/** Registers a model version whose inference never ends. No arm uses it. Returns its id. */
async function endlessVersion(): Promise<string> {
  const bytes = hostile.endlessModel();
  const hash = createHash('sha256').update(bytes).digest('hex');
  const definition: ModelDefinition = { ...repurchase().definition, artifactHash: hash };
  const id = modelVersionId(definition);
  await api.pool.query('insert into tandem.artifacts (hash, bytes, size) values ($1, $2, $3)', [
    hash,
    bytes,
    bytes.length,
  ]);
  await api.pool.query(
    `insert into tandem.model_versions (id, predictor, number, artifact_hash, definition) values ($1, 'repurchase', 2, $2, $3)`,
    [id, hash, JSON.stringify(definition)],
  );
  return id;
}

describe('GET /v1/explanations', () => {
  it('lists all answers of the sampled users, and none of other users', async () => {
    await api.pool.query('truncate tandem.kept_explanations');
    await keepOf({ share: 0.4, keepForMs: 3_600_000 });
    const userIds = ['1', '2', '3', '5', '6', '7', '8', '9'];
    const chosen = userIds.filter((userId) => isKept(0.4, userId));
    expect(chosen.length).toBeGreaterThan(0);
    expect(chosen.length).toBeLessThan(userIds.length);
    await api.post('/v1/predictions/repurchase', { userIds: [...userIds, '999'] });
    for (const userId of userIds) await read(userId);
    await expect
      .poll(async () => (await kept('predictor=repurchase&limit=100')).explanations.length, PATIENCE)
      .toBe(2 * chosen.length);
    const found = (await kept('predictor=repurchase&limit=100')).explanations.map(({ answer }) => answer.userId);
    expect([...new Set(found)].sort()).toEqual(chosen);
    expect((await api.get('/v1/explanations?predictor=another')).status).toBe(404);
  });

  it('lists the answer of any user that was kept on request', async () => {
    const userId = ['1', '2', '3', '5', '7'].find((one) => !isKept(0.4, one)) ?? '';
    const response = await api.post(`/v1/users/${userId}/explanations/repurchase`);
    const explanation = (await response.json()) as KeptExplanation;
    expect([response.status, response.headers.get('location')]).toEqual([201, `/v1/explanations/${explanation.id}`]);
    expect((await kept(`userId=${userId}`)).explanations).toEqual([explanation]);
    expect(explanation).toMatchObject({ answer: { userId }, inputs: { features: [{ name: 'recency' }, {}] } });
    expect((await api.post('/v1/users/999/explanations/repurchase')).status).toBe(404);
    expect((await api.post('/v1/users/05/explanations/repurchase')).status).toBe(422);
    // A server sets the length; a request without a server has none.
    const withBody = await api.post('/v1/users/1/explanations/repurchase', { x: 1 }, { 'content-length': '7' });
    expect([withBody.status, await withBody.json()]).toMatchObject([400, { detail: 'This request takes no body.' }]);
  });

  it('lists explanations in pages', async () => {
    const all = (await kept('limit=100')).explanations.map(({ id }) => id);
    const paged: string[] = [];
    for (let next: string | null = ''; next !== null; ) {
      const page: KeptPage = await kept(`limit=3${next && `&before=${next}`}`);
      paged.push(...page.explanations.map(({ id }) => id));
      next = page.next;
    }
    expect(paged).toEqual(all);
  });

  it('rejects ids that are not canonical, and answers 404 for unknown explanations', async () => {
    expect((await api.get('/v1/explanations?userId=05')).status).toBe(422);
    expect((await api.get('/v1/explanations?before=0')).status).toBe(422);
    expect((await api.get('/v1/explanations/5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10')).status).toBe(404);
  });

  it('lists nothing of a predictor that keeps no explanations', async () => {
    const before = (await kept('limit=100')).explanations.length;
    await keepOf(null);
    await api.post('/v1/predictions/repurchase', { userIds: ['1', '2', '3', '5'] });
    expect(await metrics()).toContain('tandem_explanations_waiting{app="api"} 0');
    expect((await kept('limit=100')).explanations.length).toBe(before);
    expect((await api.post('/v1/users/1/explanations/repurchase')).status).toBe(422);
  });
});
