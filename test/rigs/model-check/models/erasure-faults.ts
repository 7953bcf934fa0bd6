/** Steps of faults during an erasure. */
import { type Step, step } from '../checker/model.ts';
import type { ErasureScope, ErasureState, Redis } from './erasure-state.ts';

export function* faultSteps({ runsOn }: ErasureScope, state: ErasureState): Generator<Step<ErasureState>> {
  const { postgres, outagesLeft } = state;
  if (postgres.isDown || outagesLeft > 0) {
    yield step(state, postgres.isDown ? 'Postgres is back' : 'FAULT: Postgres does not answer', (draft) => {
      if (!postgres.isDown) draft.outagesLeft--;
      draft.postgres.isDown = !postgres.isDown;
    });
  }
  if (state.faultsLeft === 0) return;
  yield* losses(state);
  if (!runsOn) yield* restarts(state);
}

const NOTHING = { generations: [null, null], overlay: null, hint: 0, erasures: null, isRestoring: false };

function become(state: ErasureState, does: string, redis: (draft: ErasureState) => Redis): Step<ErasureState> {
  return step(state, `FAULT: ${does}`, (draft) => {
    draft.faultsLeft--;
    draft.redis = redis(draft);
  });
}

function* losses(state: ErasureState): Generator<Step<ErasureState>> {
  yield become(state, 'Redis loses all data without a restart', ({ redis: { run } }) => ({ run, ...NOTHING }));
  if (state.redis.erasures !== null) {
    yield become(state, 'Redis evicts its count of erasures', ({ redis }) => ({ ...redis, erasures: null }));
  }
  if (state.redis.hint > 0) yield become(state, "Redis evicts the user's hint", ({ redis }) => ({ ...redis, hint: 0 }));
}

function* restarts(state: ErasureState): Generator<Step<ErasureState>> {
  yield become(state, 'Redis restarts without data', (draft) => ({ run: ++draft.runsMade, ...NOTHING }));
  const { saved } = state;
  if (saved === null) {
    yield step(state, 'Redis is saved', (draft) => {
      draft.saved = draft.redis;
    });
    return;
  }
  yield become(state, 'Redis restarts with the saved copy', (draft) => {
    draft.saved = null;
    return { ...saved, run: ++draft.runsMade };
  });
}
