import { createHash } from 'node:crypto';
import { adopt } from '@tandem/offline-store/adopt';
import { linearModel } from '@tandem/testing/onnx-models';
import { expect, it } from 'vitest';
import { createTestApi, repurchase, workOff } from '../api.fixture.ts';

interface Listed {
  readonly processes: { readonly models: { readonly modelVersion: string; readonly state: string }[] }[];
}

it('a rollback to another model version waits until every process has loaded it', async () => {
  const api = await createTestApi();
  try {
    const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
    await workOff(api, ((await started.json()) as { id: string }).id);
    const artifact = linearModel({ weights: [0.1, -0.5] });
    const first = repurchase();
    const artifactHash = createHash('sha256').update(artifact).digest('hex');
    const second = { ...first, artifact, definition: { ...first.definition, artifactHash } };
    await adopt(api.pool, { predictors: [second], actor: 'test' });
    const loaded = async () =>
      ((await (await api.get('/v1/processes')).json()) as Listed).processes.map(({ models }) =>
        models.map(({ modelVersion, state }) => `${modelVersion} ${state}`),
      );
    // No arm uses the first version any more, so it is unloaded.
    await expect.poll(loaded, { timeout: 120_000 }).toEqual([['2 ready']]);
    const response = await api.post('/v1/predictors/repurchase/rollback', {});
    expect([response.status, await response.json()]).toMatchObject([
      200,
      { to: { generation: '1', modelVersion: '1' } },
    ]);
    expect((await loaded()).flat()).toContain('1 ready');
    const refused = await api.post('/v1/predictors/repurchase/rollback', { to: '9' });
    expect(refused.status).toBe(404);
  } finally {
    await api.close();
  }
}, 240_000);
