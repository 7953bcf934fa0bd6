/** The steps of the eraser. Each erasure gets a number with its commit. */
import { type Step, step } from '../checker/model.ts';
import type { ErasureRules, ErasureState } from './erasure-state.ts';

export function* eraserSteps(rules: ErasureRules, state: ErasureState): Generator<Step<ErasureState>> {
  const { postgres, eraser, erasuresLeft } = state;
  const isErased = postgres.deleted > 0 && postgres.version === postgres.deleted;
  if (eraser.is === 'idle' && erasuresLeft > 0 && !isErased && !postgres.isDown) {
    yield step(state, `the user is erased: version and deleted version are ${postgres.version + 1}`, (draft) => {
      draft.erasuresLeft--;
      const { version } = draft.postgres;
      Object.assign(draft.postgres, { version: version + 1, deleted: version + 1 });
      draft.eraser = { is: 'committed', number: ++draft.postgres.erasures };
    });
  }
  if (eraser.is === 'committed' && !postgres.isDown) {
    yield step(state, "the user's rows are deleted", (draft) => {
      draft.eraser.is = 'cleared';
      Object.assign(draft.postgres, { rows: [null, null], entry: null });
    });
  }
  if (eraser.is === 'cleared') {
    yield step(state, 'Redis receives the tombstone', (draft) => {
      draft.eraser.is = 'told';
      draft.redis.hint = Math.max(draft.redis.hint, draft.postgres.version);
      tellCount(rules, draft, eraser.number);
    });
  }
  if (eraser.is === 'told') {
    yield step(state, "the user's data in Redis are deleted", (draft) => {
      draft.eraser.is = 'deleted';
      Object.assign(draft.redis, { generations: [null, null], overlay: null });
    });
  }
  if (eraser.is === 'deleted') {
    yield step(state, 'the erasure is acknowledged', (draft) => {
      draft.eraser.is = 'idle';
      draft.acknowledged = { isErased: true, eras: eraser.number };
    });
  }
  if (eraser.is === 'idle' && isErased && !postgres.isDown && state.acknowledged.isErased) {
    yield step(state, 'the user is readmitted', (draft) => readmit(rules, draft));
  }
}

/** Steps of the erasure of another user, who has no data in this model. */
export function* otherErasureSteps(rules: ErasureRules, state: ErasureState): Generator<Step<ErasureState>> {
  const { otherErasure } = state;
  if (otherErasure === null) return;
  yield step(state, `Redis receives the erasure of another user, with its number: ${otherErasure}`, (draft) => {
    draft.otherErasure = null;
    tellCount(rules, draft, otherErasure);
  });
}

/** Sends Redis the count of erasures. This model has one history. */
function tellCount({ tells }: ErasureRules, { redis }: ErasureState, number: number): void {
  if (tells !== 'raises, announcements stay') redis.isRestoring = false;
  if (redis.erasures !== null || tells === 'sets') redis.erasures = Math.max(redis.erasures ?? 0, number);
}

function readmit(rules: ErasureRules, draft: ErasureState): void {
  // Readers that arrived before the readmission may already see it.
  for (const due of [draft.acknowledged, ...draft.readers.map((reader) => reader.due)]) due.isErased = false;
  if (rules.tombstone === 'dropped') Object.assign(draft.postgres, { version: 0, deleted: 0 });
  else draft.postgres.version++;
}
