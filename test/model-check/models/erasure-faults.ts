/** What may go wrong around an erasure. */
import { type Step, step } from '../checker/model.ts';
import type { ErasureState, Redis } from './erasure-state.ts';

export function* faultSteps(state: ErasureState): Generator<Step<ErasureState>> {
  const { postgres, outagesLeft } = state;
  if (postgres.isDown || outagesLeft > 0) {
    yield step(state, postgres.isDown ? 'Postgres is back' : 'FAULT: Postgres does not answer', (draft) => {
      if (!postgres.isDown) draft.outagesLeft--;
      draft.postgres.isDown = !postgres.isDown;
    });
  }
  if (state.faultsLeft > 0) yield* redisFaults(state);
}

function* redisFaults(state: ErasureState): Generator<Step<ErasureState>> {
  const nothing = { generations: [null, null], overlay: null, hint: 0, erasures: null, isRestoring: false };
  const become = (does: string, redis: (draft: ErasureState) => Redis) =>
    step(state, `FAULT: ${does}`, (draft) => {
      draft.faultsLeft--;
      draft.redis = redis(draft);
    });
  yield become('Redis loses everything, and runs on', ({ redis: { run } }) => ({ run, ...nothing }));
  yield become('Redis starts again, empty', (draft) => ({ run: ++draft.runsMade, ...nothing }));
  if (state.redis.erasures !== null) {
    yield become('Redis evicts its count of erasures', ({ redis }) => ({ ...redis, erasures: null }));
  }
  if (state.redis.hint > 0) yield become("Redis evicts the user's hint", ({ redis }) => ({ ...redis, hint: 0 }));
  const { saved } = state;
  if (saved === null) {
    yield step(state, 'Redis is saved', (draft) => {
      draft.saved = draft.redis;
    });
    return;
  }
  yield become('Redis starts again with what was saved', (draft) => {
    draft.saved = null;
    return { ...saved, run: ++draft.runsMade };
  });
}
