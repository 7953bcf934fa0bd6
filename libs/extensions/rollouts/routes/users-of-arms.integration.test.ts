import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

let api: RolloutsApi;
beforeAll(async () => {
  api = await createRolloutsApi();
});
afterAll(() => api?.close());

describe('a user that another arm serves', () => {
  it('shows the stored predictions of that arm and explains its answer', async () => {
    const { id } = await api.start({ kind: 'canary', version: '1', steps: [0.01, 100], coverage: 'live' });
    await api.begin(id);
    await api.rollouts.override(id, '4', 'candidate', 'test');
    const answer = await (await api.get('/v1/predictions/repurchase/4')).json();
    expect(answer).toMatchObject({ variant: 'candidate', modelVersion: '1', source: 'live' });
    expect(await (await api.get('/v1/users/4')).json()).toMatchObject({
      predictors: [
        { candidates: expect.arrayContaining([expect.objectContaining({ state: 'fresh', modelVersion: '1' })]) },
      ],
    });
    expect(await (await api.get('/v1/users/4/explanations/repurchase')).json()).toMatchObject({
      assignment: { modelVersion: '1', variant: 'candidate' },
      answer: { variant: 'candidate', modelVersion: '1' },
    });
  });
});
