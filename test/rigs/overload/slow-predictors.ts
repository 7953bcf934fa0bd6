/**
 * Predictors whose model takes a known time for each user, however many are run together: batching gives nothing, and
 * what does not fit cannot be done. A loop of so many turns, a user at a time.
 */
import { readFileSync } from 'node:fs';
import { START_LIMIT, startInferenceProcess } from '@tandem/inference/process/inference-process';
import { cpuLimit } from '@tandem/inference/process/time-limit';
import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { createCounts, loadedPredictor, type Pool } from '../../e2e/counts.fixture.ts';

/** Below live a refusal. */
export const STRICT = 'strict';
/** Below live the stored answer, said to be stale. */
export const LENIENT = 'lenient';

export interface SlowUsers {
  readonly users: number;
  /** What the model takes for one of them, in ms of a processor of its own. */
  readonly rowMs: number;
  readonly liveTimeoutMs: number;
}

/** Makes the users and adopts both predictors; as yet the model takes no time for them, so that a run of everyone is quick. */
export async function adoptSlowPredictors(pool: Pool, { users, liveTimeoutMs }: SlowUsers): Promise<void> {
  await createCounts(pool, users);
  const slow = { model: loopModel(), columns: ['load', 'changes'] as const, batch: {} };
  const predictors = [
    loadedPredictor({ ...slow, name: STRICT, freshness: { liveTimeoutMs, onLiveFailure: 'error' } }),
    loadedPredictor({ ...slow, name: LENIENT, freshness: { liveTimeoutMs } }),
  ].map((one) => ({ ...one, definition: { ...one.definition, rowByRow: true } }));
  await adopt(pool, { actor: 'test', predictors });
}

/** From now on the model takes its time for everyone. Gives the turns that it makes for each. */
export async function slowDown(pool: Pool, { rowMs }: SlowUsers): Promise<number> {
  const turns = Math.round(rowMs * (await turnsAMillisecond()));
  await pool.query(`update counts set load = ${turns}`);
  await pool.query('vacuum analyze counts');
  return turns;
}

const TRIAL_TURNS = 20_000;
const TRIALS = 41;
const LIMIT = cpuLimit(60_000);

/** By the processor time that the child gets for it, whatever else the machine does. The median of some runs. */
async function turnsAMillisecond(): Promise<number> {
  const child = startInferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
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

/** What a process' main thread has had of a processor, in ms; the kernel counts nanoseconds. */
function mainThreadMs(pid: number | undefined): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
}
