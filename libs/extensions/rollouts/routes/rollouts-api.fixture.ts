/**
 * Fixture for the tests of rollouts: an API with two model versions. Version 2 is stable, and version 1 counts as never
 * served.
 */
import { createHash } from 'node:crypto';
import { adopt } from '@tandem/offline-store/adopt';
import { linearModel } from '@tandem/testing/onnx-models';
import type { Answered } from '@tandem/wire/schema';
import { expect } from 'vitest';
import { createTestApi, repurchase, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { LATENCY_BOUNDS_MS, NO_COUNTS } from '../rules/arm-counts.ts';
import { withConfirmedMoves } from '../rules/confirmed-moves.ts';
import type { RolloutStore } from '../rules/rollout-store.ts';
import { createArmCountStore } from '../statements/arm-counts.ts';
import { createExposureStore } from '../statements/exposures.ts';
import { createRolloutStore } from '../statements/rollouts.ts';
import type { StartedRolloutSchema } from '../wire/rollouts.ts';

type StartedRollout = Answered<typeof StartedRolloutSchema>;

export interface RolloutsApi extends TestApi {
  /** The store of the API. */
  readonly rollouts: RolloutStore;
  send(method: string, path: string, body?: unknown): Promise<Response>;
  /** Starts a rollout of `repurchase`, and ends others before. */
  start(plan: unknown): Promise<StartedRollout>;
  /** Begins a rollout as the workers do after every process has loaded its versions. */
  begin(id: string): Promise<void>;
  /** Counts reads of a number of users of each arm, as an API does. */
  serve(id: string, served: Readonly<Record<string, Served>>): Promise<void>;
}

export interface Served {
  readonly users: number;
  readonly errors?: number;
  readonly source?: 'batch' | 'live';
}

export async function createRolloutsApi(): Promise<RolloutsApi> {
  const api = await createTestApi();
  await serveSecondVersion(api);
  return { ...api, ...callsOf(api) };
}

/** Adopts version 2, whose weights differ from those of version 1. */
export async function serveSecondVersion({ pool }: Pick<TestApi, 'pool'>): Promise<void> {
  const artifact = linearModel({ weights: [0.1, -0.5] });
  const artifactHash = createHash('sha256').update(artifact).digest('hex');
  const first = repurchase();
  const second = { ...first, artifact, definition: { ...first.definition, artifactHash } };
  await adopt(pool, { predictors: [second], actor: 'test' });
  await pool.query(
    'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 1)',
  );
}

function callsOf({ app, post, pool, dependencies }: TestApi): Omit<RolloutsApi, keyof TestApi> {
  const rollouts = withConfirmedMoves(createRolloutStore(pool), dependencies.app.confirming);
  return {
    rollouts,
    send: async (method, path, body) =>
      app.request(path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      }),
    async start(plan) {
      for (const { id } of await rollouts.active()) await rollouts.abort(id, { actor: 'test', reason: 'another' });
      const response = await post('/v1/predictors/repurchase/rollouts', plan);
      const rollout = (await response.json()) as StartedRollout;
      expect([response.status, rollout]).toMatchObject([201, { state: 'preparing' }]);
      expect(response.headers.get('location')).toBe(`/v1/rollouts/${rollout.id}`);
      return rollout;
    },
    begin: async (id) => void (await rollouts.begin(id, { actor: 'tandem', reason: 'loaded' })),
    async serve(rolloutId, served) {
      for (const [arm, { users, errors = 0, source = 'batch' }] of Object.entries(served)) {
        const place = { rolloutId, step: 0, arm, source };
        const each = Array.from({ length: users }, (_, i) => ({
          ...place,
          contextVersion: 0,
          at: 0,
          userId: `${arm}-${i}`,
        }));
        await createExposureStore(pool).put(each, 0);
        const latency = [users, ...LATENCY_BOUNDS_MS.map(() => 0)];
        const counts = { ...NO_COUNTS, reads: users, errors, latency, users };
        await createArmCountStore(pool).put([{ ...place, processId: crypto.randomUUID(), counts }]);
      }
    },
  };
}
