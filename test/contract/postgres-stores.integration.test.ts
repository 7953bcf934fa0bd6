/** Tests the Postgres stores with the contracts that every implementation must fulfil. */

import { createHash } from 'node:crypto';
import type { Assignment } from '@tandem/freshness/certificate';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { createOverlayStore } from '@tandem/offline-store/reads/overlay';
import { createStoredPredictions } from '@tandem/offline-store/reads/predictions';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { findSettings } from '@tandem/offline-store/sql/settings';
import { scoredUsers } from '@tandem/prediction/runs/scored-users';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { cloneDatabase } from '@tandem/testing/databases';
import { describeOverlayStore } from '@tandem/testing/overlay-store.contract';
import { describeStoredPredictions } from '@tandem/testing/stored-predictions.contract';
import { inject } from 'vitest';

const PREDICTOR = 'visits';
/** The time limit allows for a busy machine, because a hundred finds wait for ten connections. */
const PATIENCE_MS = 60_000;
const artifact = Buffer.from('a model that is never run');

async function openStores() {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, applicationName: 'contract-test', connectTimeoutMs: PATIENCE_MS });
  await pool.query('create table visits (user_id text primary key, visits int)');
  await pool.query("insert into visits values ('1', 1)");
  const { predictors } = await adopt(pool, { predictors: [predictor()], actor: 'test' });
  const { history } = await findSettings(pool);
  const assignment: Assignment = {
    predictor: PREDICTOR,
    arm: 'stable',
    modelVersionId: predictors[0]?.modelVersionId ?? '',
    modelNumber: 1,
    generation: null,
    overlayFloor: 1,
    revision: 0,
    expiresFrom: null,
  };
  return {
    pool,
    history,
    assignment,
    overlay: createOverlayStore(pool),
    predictions: createStoredPredictions(pool),
    clear: () => pool.query('truncate tandem.overlay'),
    async close() {
      await pool.end();
      await database.drop();
    },
  };
}

describeOverlayStore('Postgres', openStores);

describeStoredPredictions('Postgres', async () => {
  const stores = await openStores();
  const { pool, history, assignment } = stores;
  const runs = createRunStore(pool);

  /** Commits the rows of a run of all users. The run is then cancelled, so that the next run can start. */
  async function committed(rows: Parameters<typeof scoredUsers>[0], computedAt: number, number: number) {
    const { run } = await runs.create({
      predictor: PREDICTOR,
      scope: { kind: 'all' },
      reason: 'test',
      scheduleSlot: null,
    });
    const planned = await planNow(runs, run.id);
    const chunk = await runs.claim(run.id, 0, 60_000);
    if (!chunk || 'failed' in chunk) throw new Error('there is no chunk to claim');
    await runs.commit(planned, chunk, { history, computedAt, scored: scoredUsers(rows), failures: [] });
    await runs.cancel(run.id);
    return { id: planned.generationId ?? '', number, buckets: 1, startedAt: computedAt, isOutdated: false };
  }

  return {
    ...stores,
    async fill(rows, computedAt) {
      return { ...assignment, generation: { ...(await committed(rows, computedAt, 1)), base: null } };
    },
    async fillAbove(below, rows, computedAt) {
      return { ...below, generation: { ...(await committed(rows, computedAt, 2)), base: below.generation } };
    },
  };
});

function predictor(): PredictorToAdopt {
  return {
    name: PREDICTOR,
    artifact,
    policy: {
      freshness: {
        maxAgeMs: null,
        live: false,
        liveTimeoutMs: 50,
        onLiveFailure: 'stale',
        unverified: true,
        default: null,
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 10_000, minCoverage: 0 },
    },
    definition: {
      predictor: PREDICTOR,
      artifactHash: createHash('sha256').update(artifact).digest('hex'),
      keyType: 'text',
      query: {
        sql: 'select user_id, visits from visits',
        columns: [{ name: 'visits', kind: 'integer' }],
        asOf: null,
        overlayForMs: null,
      },
      inputs: [{ name: 'x', type: 'float32', columns: ['visits'] }],
      outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
    },
  };
}
