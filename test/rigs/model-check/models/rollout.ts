/**
 * A rollout: a candidate model version gets more users at each step. It becomes the stable version or is aborted, also in the
 * middle of its run. The next rollout may be of the same version again.
 *
 * One user, who enters the candidate arm at the second step; one history. The model has these steps, in every order:
 *
 * - An event raises the version.
 * - A rollout to the version that is not stable is created, with the newest generation of that version. It begins,
 *   grows, and is promoted or aborted. It may be aborted before it begins.
 * - A run of all users is requested for an arm, and records the arm's model version and floor. It scores, and is
 *   published. Its generation becomes current only in the arm of its version, and not in the arm of another rollout.
 * - The rows of any generation are loaded into Redis, at any time. Live results are stored late.
 * - Readers of one process share its memory and flights.
 *
 * I9 is checked independently of the rules, by three recorded facts: the user's assignments since a read arrived, the version
 * that computed a prediction, and whether a user of the arm is served from it until the rollout is aborted.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { armOfUser } from './rollout-arms.ts';
import { keepSteps, newRolloutReader, rolloutReaderSteps } from './rollout-readers.ts';
import type { Arm, RolloutRules, RolloutScope, RolloutState } from './rollout-state.ts';

type Steps = Generator<Step<RolloutState>>;

const LAST_STEP = 3;

export function rollout(rules: RolloutRules, scope: RolloutScope): Model<RolloutState> {
  return {
    name: 'rollout',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eventSteps(state);
      yield* moveSteps(rules, state);
      yield* runSteps(rules, state);
      yield* loadSteps(state);
      yield* keepSteps(state);
      for (const i of state.readers.keys()) yield* rolloutReaderSteps(rules, state, i);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, readers: sorted(state.readers) }),
  };
}

/** Returns the initial state: the first generation is current, and in Redis. */
function initialState({ readers, ...left }: RolloutScope): RolloutState {
  const row = { label: 0, model: 1, asked: 0 };
  return {
    postgres: {
      ...{ version: 0, stable: { model: 1, generation: 1, floor: 0 }, candidate: null, step: 0 },
      generations: [{ model: 1, is: 'published', floor: 0, row }],
      ...{ entries: [null, null], highestFloor: 0, takenBack: 0 },
    },
    redis: { rows: [row, null, null], overlay: null },
    ...{ memory: null, kept: null, flight: null, wasInArm: false, broken: null },
    readers: Array.from({ length: readers }, newRolloutReader),
    left,
  };
}

function* eventSteps(state: RolloutState): Steps {
  if (state.left.events === 0) return;
  yield step(state, `an event commits: version ${state.postgres.version + 1}`, (draft) => {
    draft.left.events--;
    draft.postgres.version++;
  });
}

function* moveSteps(rules: RolloutRules, state: RolloutState): Steps {
  const { stable, candidate, step: at } = state.postgres;
  const move = (does: string, then: (draft: RolloutState) => void) =>
    step(state, does, (draft) => {
      then(draft);
      // The certificate of an open read may be from before or after the move.
      for (const reader of draft.readers) {
        if (reader.is === 'asking') reader.assigned[armOfUser(rules, draft.postgres).model] = true;
      }
    });
  if (candidate === null) {
    if (state.left.rollouts === 0) return;
    yield move(`a rollout of model version ${3 - stable.model} is made`, (draft) => start(rules, draft));
    return;
  }
  if (at < LAST_STEP) {
    yield move(`the rollout goes to step ${at + 1}`, ({ postgres }) => {
      postgres.step++;
    });
  }
  if (at > 0) {
    yield move(`the rollout is PROMOTED: model version ${candidate.model}`, (draft) => {
      draft.postgres.stable = candidate;
      end(draft);
    });
  }
  yield move('the rollout is ABORTED', (draft) => {
    draft.postgres.takenBack++;
    end(draft);
  });
}

function start({ floor }: RolloutRules, draft: RolloutState): void {
  const { postgres } = draft;
  const model = 3 - postgres.stable.model;
  const isNew = floor === 'above all that there were';
  if (isNew) postgres.highestFloor++;
  const newest = postgres.generations.findLastIndex((one) => one.model === model && one.is === 'published');
  const itsFloor = isNew ? postgres.highestFloor : postgres.stable.floor;
  draft.left.rollouts--;
  postgres.candidate = { model, generation: newest + 1, floor: itsFloor };
}

function end(draft: RolloutState): void {
  Object.assign(draft.postgres, { candidate: null, step: 0 });
  draft.wasInArm = false;
  for (const { due } of draft.readers) due.wasInArm = false;
}

function* runSteps(rules: RolloutRules, state: RolloutState): Steps {
  const { generations, stable, candidate, version, takenBack } = state.postgres;
  const last = nth(generations, generations.length - 1);
  const number = generations.length;
  if (last.is === 'published' && state.left.runs > 0) {
    for (const { model, floor } of candidate ? [stable, candidate] : [stable]) {
      yield step(state, `run ${number + 1} is requested, of model version ${model} under floor ${floor}`, (draft) => {
        draft.left.runs--;
        draft.postgres.generations.push({ model, is: 'building', floor, row: null });
      });
    }
  }
  if (last.is === 'building') {
    yield step(state, `run ${number} scores: label ${version}`, (draft) => {
      const mine = nth(draft.postgres.generations, number - 1);
      Object.assign(mine, { is: 'scored', row: { label: version, model: mine.model, asked: takenBack } });
    });
  }
  if (last.is === 'scored') {
    yield step(state, `generation ${number} is published`, (draft) => publish(rules, draft, number));
  }
}

function publish({ publishes }: RolloutRules, { postgres }: RolloutState, number: number): void {
  const { stable, candidate, generations } = postgres;
  const mine = nth(generations, number - 1);
  mine.is = 'published';
  const isOf = (arm: Arm | null) => arm?.model === mine.model && arm.floor === mine.floor;
  const arm = publishes === 'in the stable arm' || isOf(stable) ? stable : isOf(candidate) ? candidate : null;
  if (arm && arm.generation < number) arm.generation = number;
}

function* loadSteps(state: RolloutState): Steps {
  for (const [i, { row }] of state.postgres.generations.entries()) {
    if (row === null || state.redis.rows[i] !== null) continue;
    yield step(state, `generation ${i + 1} is loaded into Redis`, (draft) => {
      draft.redis.rows[i] = row;
    });
  }
}
