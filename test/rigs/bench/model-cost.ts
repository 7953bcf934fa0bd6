/** Measures the time of a model in a child of the inference pool, and finds a model size that takes a given time. */
import { InferenceProcess, START_LIMIT } from '@tandem/inference/process/inference-process';
import { cpuLimit } from '@tandem/inference/process/time-limit';
import { denseModel } from '@tandem/testing/sized-model';
import { FEATURES } from './predictors.ts';

/** A model with the time of a batch in ms, by the number of users in the batch. */
export interface CostCurve {
  readonly units: number;
  readonly model: Buffer;
  readonly runMs: ReadonlyMap<number, number>;
}

const ROWS = [1, 2, 8, 32, 64];
const RUNS = 41;
const ATTEMPTS = 5;
const LIMIT = cpuLimit(10_000);

/** Finds a dense model that takes about `ms` for one user. The cost grows with the square of the units. */
export async function modelOfCost(ms: number, layers: number): Promise<CostCurve> {
  let units = Math.round(1_700 * Math.sqrt(ms));
  for (let attempt = 1; ; attempt++) {
    const model = denseModel({ width: FEATURES.length, units, layers });
    const runMs = await costCurve(model);
    const found = runMs.get(1) ?? Number.NaN;
    if (attempt === ATTEMPTS || Math.abs(found - ms) < ms / 10) return { units, model, runMs };
    units = Math.round(units * Math.min(2, Math.max(0.5, Math.sqrt(ms / found))));
  }
}

async function costCurve(model: Uint8Array): Promise<Map<number, number>> {
  const child = new InferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
  const found = new Map<number, number>();
  try {
    await child.ready;
    await child.load({ session: 'm', bytes: model, sha256: null }, LIMIT);
    for (const rows of ROWS) {
      const data = Float32Array.from({ length: rows * FEATURES.length }, (_, i) => (i % 97) / 97);
      const feeds = [{ name: 'features', type: 'float32' as const, dims: [rows, FEATURES.length], data }];
      const run = { session: 'm', feeds, fetches: ['score'], rowByRow: false };
      const times: number[] = [];
      for (let i = 0; i < RUNS; i++) times.push((await child.run(run, LIMIT)).ms);
      // The first octile estimates the cost on an idle processor.
      found.set(rows, times.sort((a, b) => a - b)[RUNS >> 3] ?? Number.NaN);
    }
    return found;
  } finally {
    child.kill('measured');
    await child.ended;
  }
}
