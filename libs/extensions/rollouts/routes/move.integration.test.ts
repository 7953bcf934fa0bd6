import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutView } from '../wire/rollouts.ts';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

let api: RolloutsApi;
beforeAll(async () => {
  api = await createRolloutsApi();
});
afterAll(() => api?.close());

const CANARY = { kind: 'canary', version: '1', steps: [5, 50, 100], coverage: 'live' };
const SHADOW = { kind: 'shadow', version: '1' };
const AB = { kind: 'ab', arms: [{ variant: 'second', version: '1', weight: 30 }], coverage: 'live' };

async function move(id: string, verb: string, body?: unknown) {
  const response = await api.post(`/v1/rollouts/${id}/${verb}`, body);
  return [response.status, (await response.json()) as RolloutView & { field?: string; remedy?: string }] as const;
}
/** Starts a rollout and begins it. Returns its id. */
async function running(plan: unknown): Promise<string> {
  const { id } = await api.start(plan);
  await api.begin(id);
  return id;
}
async function served(): Promise<unknown> {
  const { models } = (await (await api.get('/v1/models/repurchase')).json()) as {
    models: { modelVersion: string; variants: string[] }[];
  };
  return Object.fromEntries(models.flatMap(({ modelVersion, variants }) => variants.map((one) => [one, modelVersion])));
}
/** Undoes the promotion of a test: version 2 is stable again, and version 1 was never stable. */
async function asBefore(): Promise<void> {
  await api.pool.query(`update tandem.arms set model_version_id = (select id from tandem.model_versions where number = 2)
    where name = 'stable'`);
  await api.pool.query(
    'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 1)',
  );
}

describe('a canary', () => {
  it('is advanced to its end, where its version becomes stable', async () => {
    const id = await running(CANARY);
    expect(await move(id, 'advance', { reason: 'looks well' })).toMatchObject([
      200,
      { state: 'running', step: 1, percent: 50, reason: 'looks well', arms: [{ variant: 'candidate', percent: 50 }] },
    ]);
    expect(await served()).toEqual({ stable: '2', candidate: '1' });
    expect(await move(id, 'advance')).toMatchObject([200, { state: 'promoted', percent: 0 }]);
    expect(await served()).toEqual({ stable: '1' });
    await asBefore();
  });

  it('can be held repeatedly, resumed, and advanced while held', async () => {
    const id = await running(CANARY);
    for (const _ of [1, 2]) expect(await move(id, 'hold', {})).toMatchObject([200, { state: 'held', step: 0 }]);
    expect(await move(id, 'resume')).toMatchObject([200, { state: 'running', reason: 'resume asked for' }]);
    await move(id, 'hold');
    expect(await move(id, 'advance')).toMatchObject([200, { state: 'running', step: 1 }]);
  });

  it('can be promoted or aborted at any step', async () => {
    const first = await running(CANARY);
    expect(await move(first, 'promote')).toMatchObject([200, { state: 'promoted', endedAt: expect.any(String) }]);
    expect(await served()).toEqual({ stable: '1' });
    await asBefore();
    expect(await move(await running(CANARY), 'abort')).toMatchObject([200, { state: 'aborted' }]);
    expect(await served()).toEqual({ stable: '2' });
  });

  it('can only be aborted while it prepares, because a version that is not loaded may not serve users', async () => {
    const { id } = await api.start(CANARY);
    for (const verb of ['advance', 'hold', 'resume', 'promote']) {
      expect([verb, ...(await move(id, verb))]).toMatchObject([verb, 409, { remedy: expect.any(String) }]);
    }
    expect(await served()).toEqual({ stable: '2', candidate: '1' });
    const unbegun = { state: 'aborted', stepStartedAt: null, arms: [{ variant: 'candidate', percent: 0 }] };
    expect(await move(id, 'abort')).toMatchObject([200, unbegun]);
  });

  it('cannot be ended, only promoted or aborted', async () => {
    const remedy = expect.stringMatching(
      /^promote or abort it: tandem rollout promote (\w+), or tandem rollout abort \1$/,
    );
    expect(await move(await running(CANARY), 'end')).toMatchObject([409, { remedy }]);
  });

  it('cannot be moved after its end', async () => {
    const id = await running(CANARY);
    await move(id, 'abort');
    for (const verb of ['advance', 'hold', 'resume', 'promote', 'abort', 'end']) {
      expect([verb, ...(await move(id, verb))]).toMatchObject([verb, 409, { remedy: 'start another rollout' }]);
    }
  });
});

describe('a shadow and an A/B test', () => {
  it('a shadow has no steps and cannot be promoted, because it served no users; it can be ended', async () => {
    const id = await running(SHADOW);
    for (const verb of ['advance', 'promote']) expect([verb, (await move(id, verb))[0]]).toEqual([verb, 409]);
    expect(await move(id, 'end')).toMatchObject([200, { state: 'ended' }]);
    expect(await served()).toEqual({ stable: '2' });
  });

  it('an arm of an A/B test is promoted by its name, and the error for another name lists the arms', async () => {
    const id = await running(AB);
    expect(await move(id, 'advance')).toMatchObject([409, { remedy: 'promote or end it' }]);
    expect(await move(id, 'promote')).toMatchObject([422, { field: 'variant', remedy: 'use one of second' }]);
    expect(await move(id, 'promote', { variant: 'second' })).toMatchObject([200, { state: 'promoted' }]);
    expect(await served()).toEqual({ stable: '1' });
    await asBefore();
  });
});

describe('a move is refused', () => {
  let id: string;
  beforeAll(async () => {
    id = await running(CANARY);
  });

  it.each<[string, string, unknown, number, string | undefined]>([
    ['with an unknown field', 'hold', { why: 'x' }, 422, 'why'],
    ['with an arm for a verb that takes none', 'abort', { variant: 'candidate' }, 422, 'variant'],
    ['with an empty reason', 'hold', { reason: '' }, 422, 'reason'],
    ['with a reason that is too long', 'hold', { reason: 'x'.repeat(501) }, 422, 'reason'],
    ['with a reason that Postgres cannot store', 'hold', '{"reason":"\\u0000"}', 422, 'reason'],
    ['with a list', 'hold', [], 422, undefined],
  ])('%s', async (_, verb, body, status, field) => {
    const [found, problem] = await move(id, verb, body);
    expect([found, problem.field]).toEqual([status, field]);
  });

  it('for another media type, an unknown verb, and an unknown rollout', async () => {
    const text = await api.post(`/v1/rollouts/${id}/hold`, '{}', { 'content-type': 'text/plain' });
    expect(text.status).toBe(415);
    expect((await api.post(`/v1/rollouts/${id}/begin`)).status).toBe(404);
    expect((await api.get(`/v1/rollouts/${id}/hold`)).status).toBe(405);
    for (const unknown of ['x', '00000000-0000-0000-0000-000000000000']) {
      expect(await move(unknown, 'abort')).toMatchObject([404, { type: 'urn:tandem:problem:unknown_rollout' }]);
    }
    expect(await (await api.get(`/v1/rollouts/${id}`)).json()).toMatchObject({ state: 'running', step: 0 });
  });
});
