/**
 * Erasure and readmission of one user: no prediction from before is served again, not even as stale (I11), and no version is
 * used twice (I2).
 *
 * An erasure has these steps. One transaction raises the version and sets the deleted version to it. Then existing rows are
 * deleted. Then Redis receives the hint, which keeps late entries out, and the count. Then the user's data in Redis are
 * deleted. Then the erasure is acknowledged. Another user may be erased before or after, and Redis may receive the two
 * erasures in the other order. Readmission raises the version again: the user is served from labels above the tombstone.
 *
 * Other steps interfere in every order:
 *
 * - Workers that read before the erasure look for erased users, commit and load in separate steps.
 * - A loader copies whole generations; live results are stored late.
 * - Redis loses all data, with or without a restart, or returns to an old copy.
 * - Postgres does not answer, and reads use Redis alone.
 */
import { type Model, nth, type Step, step } from '../checker/model.ts';
import { predictionNow, putEntry } from './erasure-entries.ts';
import { eraserSteps, otherErasureSteps } from './erasure-eraser.ts';
import { faultSteps } from './erasure-faults.ts';
import { erasureReaderSteps, newErasureReader, processSteps } from './erasure-readers.ts';
import type { ErasureRules, ErasureScope, ErasureState, ErasureWorker, Prediction } from './erasure-state.ts';

export function erasure(rules: ErasureRules, scope: ErasureScope): Model<ErasureState> {
  return {
    name: 'erasure',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eraserSteps(rules, state);
      yield* otherErasureSteps(rules, state);
      for (const [i, worker] of state.workers.entries()) yield* workerSteps(state, worker, i);
      if (scope.isLoading) yield* loaderSteps(state);
      if (rules.unverified === 'server and count') yield* restorerSteps(rules, state);
      yield* processSteps(rules, scope, state);
      for (const i of state.readers.keys()) yield* erasureReaderSteps(rules, scope, state, i);
      yield* faultSteps(scope, state);
    },
    violation: (state) => state.broken,
  };
}

function initialState(scope: ErasureScope): ErasureState {
  const { workers, readers, erasures, isOtherErased, outages, faults, isSaved } = scope;
  const before = isOtherErased ? 1 : 0;
  const first: Prediction = { label: 1, era: before };
  const redis = { run: 1, generations: [first, null], overlay: null, hint: 0, erasures: 0, isRestoring: false };
  return {
    postgres: {
      ...{ version: 1, deleted: 0, isDown: false, rows: [first, null], entry: null, inForce: 0 },
      erasures: before,
    },
    acknowledged: { isErased: false, eras: 0 },
    redis,
    saved: isSaved ? redis : null,
    runsMade: 1,
    eraser: { is: 'idle', number: 0 },
    erasuresLeft: erasures,
    otherErasure: isOtherErased ? 1 : null,
    workers: workers.map((kind) => ({ kind, is: 'idle', prediction: null })),
    loader: null,
    restorer: null,
    flight: null,
    landed: null,
    readers: Array.from({ length: readers }, newErasureReader),
    other: null,
    known: { server: 1, inForce: 0, erasures: before, deleted: 0 },
    outagesLeft: outages,
    faultsLeft: faults,
    broken: null,
  };
}

function* workerSteps(state: ErasureState, worker: ErasureWorker, i: number): Generator<Step<ErasureState>> {
  const { postgres } = state;
  const change = (does: string, then: (worker: ErasureWorker, draft: ErasureState) => void) =>
    step(state, `worker ${i + 1} (${worker.kind}): ${does}`, (draft) => then(nth(draft.workers, i), draft));
  // Without Postgres a worker waits, but it may load what it has committed.
  if (postgres.isDown && worker.is !== 'committed') return;
  const label = worker.prediction?.label ?? 0;
  switch (worker.is) {
    case 'idle':
      yield change(`reads features and version ${postgres.version}, and infers`, (mine, draft) => {
        mine.is = 'scored';
        mine.prediction = predictionNow(draft);
      });
      return;
    case 'scored': {
      const isLeftOut = postgres.deleted > 0 && label <= postgres.deleted;
      yield change(isLeftOut ? 'finds the user erased, and leaves it out' : 'does not find the user erased', (mine) => {
        mine.is = isLeftOut ? 'done' : 'checked';
      });
      return;
    }
    case 'checked':
      yield change('commits its prediction', (mine, draft) => {
        mine.is = 'committed';
        if (mine.kind === 'all') {
          draft.postgres.rows[1] = mine.prediction;
          draft.postgres.inForce = 1;
        } else if ((draft.postgres.entry?.label ?? -1) < label) draft.postgres.entry = mine.prediction;
      });
      return;
    case 'committed':
      yield change('loads its prediction into Redis', (mine, draft) => {
        mine.is = 'done';
        if (mine.kind === 'all') draft.redis.generations[1] = mine.prediction;
        else if (mine.prediction) putEntry(draft, mine.prediction);
        mine.prediction = null;
      });
      return;
    case 'done':
      return;
  }
}

function* loaderSteps(state: ErasureState): Generator<Step<ErasureState>> {
  const { postgres, loader, redis } = state;
  if (loader) {
    yield step(state, 'the loader writes the row that it read into Redis', (draft) => {
      draft.redis.generations[loader.generation] = loader.prediction;
      draft.loader = null;
    });
    return;
  }
  const prediction = postgres.rows[postgres.inForce] ?? null;
  if (postgres.isDown || prediction === null || redis.generations[postgres.inForce] !== null) return;
  yield step(state, 'the loader reads a row of the generation', (draft) => {
    draft.loader = { generation: postgres.inForce, prediction };
  });
}

/**
 * Restores a count that Redis lost. A process announces the restore in Redis, then reads the count from Postgres, and sets it
 * only while the announcement exists. If Redis loses its data in between, it loses the announcement too.
 */
function* restorerSteps({ restores }: ErasureRules, state: ErasureState): Generator<Step<ErasureState>> {
  const { restorer, redis, postgres } = state;
  if (restorer === null && redis.erasures !== postgres.erasures && !postgres.isDown) {
    yield step(state, 'a process announces in Redis that it restores the count of erasures', (draft) => {
      draft.restorer = { is: 'announced' };
      draft.redis.isRestoring = true;
    });
  }
  if (restorer?.is === 'announced' && !postgres.isDown) {
    yield step(state, `that process reads from Postgres: ${postgres.erasures} erasures`, (draft) => {
      draft.restorer = { is: 'read', erasures: postgres.erasures };
    });
  }
  if (restorer?.is === 'read') {
    yield step(
      state,
      `that process sets the count${redis.isRestoring ? '' : ', if its announcement exists'}`,
      (draft) => {
        if (draft.redis.isRestoring || restores === 'plainly') {
          draft.redis.erasures = Math.max(draft.redis.erasures ?? 0, restorer.erasures);
        }
        draft.redis.isRestoring = false;
        draft.restorer = null;
      },
    );
  }
}
