/**
 * What a trial serves: the fault rig's predictor, whose score says what it was computed from, and one whose features take
 * long to read, so that a run of it has work for several workers.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { echoModel } from '@tandem/testing/onnx-models';
import { createCounts, type Pool } from '../../e2e/counts.fixture.ts';
import { toldModel } from '../faults/rig/told-versions.ts';

export const SLOW = 'slow';
/** Seconds for the features of one user. */
const SLOW_ROW_S = 0.1;

const CONFIG = `
import { defineConfig } from '@tandem/config/define-config';

const freshness = { events: ['*'], liveTimeout: '1s', onLiveFailure: 'stale' } as const;

export default defineConfig({
  predictors: {
    count: {
      model: './count.onnx',
      features: { sql: 'select user_id, changes, 0::float8 as told from counts', overlayFor: '365d' },
      inputs: { features: { type: 'float32', columns: ['changes'] }, values: { type: 'float32', columns: ['told'] } },
      outputs: { score: 'float32', told: 'float32' },
      freshness,
      batch: { chunkSize: 200 },
    },
    ${SLOW}: {
      model: './slow.onnx',
      features: { sql: 'select user_id, slowly(changes) as weight from counts' },
      outputs: { score: 'float32' },
      freshness: { events: [], live: false },
      batch: { chunkSize: 20 },
    },
  },
});
`;

/** Writes config and models, as a ConfigMap is made of them. */
export async function writeConfig(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'tandem.config.ts'), CONFIG);
  await writeFile(join(folder, 'count.onnx'), toldModel(0));
  await writeFile(join(folder, 'slow.onnx'), echoModel('float32', 1));
}

/** Stable, so that a plan, which needs the keys alone, does not call the function. */
export async function createTables(pool: Pool, users: number): Promise<void> {
  await createCounts(pool, users);
  await pool.query(`create function slowly(n int) returns real language plpgsql stable as
    'begin perform pg_sleep(${SLOW_ROW_S}); return n; end'`);
}
