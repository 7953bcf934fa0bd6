/**
 * Predictors whose model takes a known time per user in any batch, so that batching gains nothing. The model runs a
 * loop with `load` iterations for one user after the other.
 */
import { readFileSync } from 'node:fs';
import { InferenceProcess, START_LIMIT } from '@tandem/inference/process/inference-process';
import { cpuLimit } from '@tandem/inference/process/time-limit';
import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { createCounts, loadedPredictor, type Pool } from '../../e2e/counts.fixture.ts';

/** A predictor that answers with an error if live inference fails. */
export const STRICT = 'strict';
/** A predictor that answers with the stored prediction, marked as stale, if live inference fails. */
export const LENIENT = 'lenient';

export interface SlowUsers {
  readonly users: number;
  /** The time of the model for one user, in ms on an idle core. */
  readonly rowMs: number;
  readonly liveTimeoutMs: number;
}

/** Makes the users and adopts both predictors. The model is still fast, so that a run of all users is quick. */
export async function adoptSlowPredictors(pool: Pool, { users, liveTimeoutMs }: SlowUsers): Promise<void> {
  await createCounts(pool, users);
  const slow = { model: loopModel(), columns: ['load', 'changes'] as const, batch: {} };
  const predictors = [
    loadedPredictor({ ...slow, name: STRICT, freshness: { liveTimeoutMs, onLiveFailure: 'error' } }),
    loadedPredictor({ ...slow, name: LENIENT, freshness: { liveTimeoutMs } }),
  ].map((one) => ({ ...one, definition: { ...one.definition, rowByRow: true } }));
  await adopt(pool, { actor: 'test', predictors });
}

/** Makes the model slow for all users. Returns the iterations per user. */
export async function slowDown(pool: Pool, { rowMs }: SlowUsers): Promise<number> {
  const turns = Math.round(rowMs * (await turnsAMillisecond()));
  await pool.query(`update counts set load = ${turns}`);
  await pool.query('vacuum analyze counts');
  return turns;
}

const TRIAL_TURNS = 20_000;
const TRIALS = 41;
const LIMIT = cpuLimit(60_000);

/**
 * Measures the iterations per ms of CPU time, as the median of several calls. Other work on the machine does not count.
 */
async function turnsAMillisecond(): Promise<number> {
  const child = new InferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
  try {
    await child.ready;
    await child.load({ session: 'm', bytes: loopModel(), sha256: null }, LIMIT);
    const feeds = [
      { name: 'features', type: 'float32' as const, dims: [1, 2], data: Float32Array.from([TRIAL_TURNS, 1]) },
    ];
    const times: number[] = [];
    for (let i = 0; i < TRIALS; i++) {
      const before = mainThreadMs(child.pid);
      await child.run({ session: 'm', feeds, fetches: ['score'], rowByRow: true }, LIMIT);
      times.push(mainThreadMs(child.pid) - before);
    }
    times.sort((a, b) => a - b);
    return TRIAL_TURNS / (times[TRIALS >> 1] ?? Number.NaN);
  } finally {
    child.kill('measured');
    await child.ended;
  }
}

/** Returns the CPU time of a process' main thread in ms. The kernel counts nanoseconds. */
function mainThreadMs(pid: number | undefined): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
}
