/**
 * The config of a trial. It has the fault rig's predictor, whose score shows the facts from which it was computed, and
 * a predictor with slow features, whose runs have work for several workers.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { echoModel } from '@tandem/testing/onnx-models';
import { createCounts, type Pool } from '../../e2e/counts.fixture.ts';
import { toldModel } from '../faults/rig/told-versions.ts';

export const SLOW = 'slow';
/** The seconds that it takes to read the features of one user. */
const SLOW_ROW_S = 0.3;

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

/** Writes config and models into a folder, from which a ConfigMap is made. */
export async function writeConfig(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'tandem.config.ts'), CONFIG);
  await writeFile(join(folder, 'count.onnx'), toldModel(0));
  await writeFile(join(folder, 'slow.onnx'), echoModel('float32', 1));
}

/** Creates the tables and a slow function. It is stable, so a plan, which reads only the keys, does not call it. */
export async function createTables(pool: Pool, users: number): Promise<void> {
  await createCounts(pool, users);
  await pool.query(`create function slowly(n int) returns real language plpgsql stable as
    'begin perform pg_sleep(${SLOW_ROW_S}); return n; end'`);
}
