/**
 * A generation with a base. A run with a budget scores some users, and its generation names a generation of all users below
 * it: its base. A user's layer is the generation if it has a row of the user; otherwise it is the base.
 *
 * One user, one predictor, one history, one model version. The model has these steps, in every order:
 *
 * - An event of the user commits. A bulk change of a watched source commits, and raises the source version.
 * - A run of all users, or a run with a budget that includes the user or not. The run notes base and source version,
 *   and reads features later. If it does not score the user, it carries over the user's row of the current generation.
 *   It is published.
 * - A rollback goes to a published generation. A generation that no arm names is dropped.
 * - The user's bucket of any generation is loaded into Redis, marked as complete, or lost.
 * - Readers of one process share its memory.
 *
 * A fresh answer must contain every bulk change and event that was committed before its reader arrived. It must come from the
 * user's layer of the assigned generation, and name that layer. The current generation always has a row of the user, its own
 * or its base's.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { layerReaderSteps, newLayerReader } from './layered-generation-readers.ts';
import type { Generation, LayerRules, LayerScope, LayerState } from './layered-generation-state.ts';

type Steps = Generator<Step<LayerState>>;

export function layeredGeneration(rules: LayerRules, scope: LayerScope): Model<LayerState> {
  return {
    name: 'layered generation',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* changeSteps(state);
      yield* runSteps(rules, state);
      yield* armSteps(rules, state);
      yield* redisSteps(state);
      for (const i of state.readers.keys()) yield* layerReaderSteps(rules, state, i);
    },
    violation: (state) => state.broken ?? uncovered(state),
    canonical: (state) => ({ ...state, readers: sorted(state.readers) }),
  };
}

/** Returns the initial state: a generation of all users is current. */
function initialState({ readers, ...left }: LayerScope): LayerState {
  const row = { label: 0, from: 0 };
  return {
    postgres: {
      ...{ changes: 0, version: 0, arm: { generation: 1, floor: 0 } },
      generations: [{ is: 'published', base: 0, isChosen: true, source: 0, floor: 0, row }],
    },
    redis: [{ row, isWhole: true }],
    memory: null,
    known: { generation: 1, base: 0 },
    readers: Array.from({ length: readers }, newLayerReader),
    left,
    broken: null,
  };
}

/** Checks that every published generation, which is current or the target of a rollback, has a row of the user. */
function uncovered({ postgres: { generations } }: LayerState): string | null {
  const found = generations.findIndex(
    ({ is, row, base }) => is === 'published' && row === null && nth(generations, base - 1).row === null,
  );
  return found < 0 ? null : `I5: generation ${found + 1} lacks the user, and its base is dropped`;
}

function* changeSteps(state: LayerState): Steps {
  const { left, postgres } = state;
  if (left.changes > 0) {
    yield step(state, `bulk change ${postgres.changes + 1} commits`, (draft) => {
      draft.left.changes--;
      draft.postgres.changes++;
    });
  }
  if (left.events > 0) {
    yield step(state, `an event commits: version ${postgres.version + 1}`, (draft) => {
      draft.left.events--;
      draft.postgres.version++;
    });
  }
}

function* runSteps(rules: LayerRules, state: LayerState): Steps {
  const { generations, arm, changes, version } = state.postgres;
  const number = generations.length;
  const last = nth(generations, number - 1);
  const change = (does: string, then: (mine: Generation, draft: LayerState) => void) =>
    step(state, `run ${number} ${does}`, (draft) => then(nth(draft.postgres.generations, number - 1), draft));
  switch (last.is) {
    case 'published':
    case 'dropped':
      if (state.left.runs > 0) yield* planSteps(state);
      return;
    case 'planned':
      yield change('reads features and scores', (mine) => {
        mine.is = 'scored';
        if (mine.isChosen) mine.row = { label: version, from: changes };
      });
      return;
    case 'scored':
      yield change('carries over the row that it does not score', (mine) => {
        mine.is = 'carried';
        mine.row ??= carriedRow(rules, mine, nth(generations, arm.generation - 1));
      });
      return;
    case 'carried':
      yield change('is published', (mine, draft) => {
        mine.is = 'published';
        if (arm.floor === mine.floor && number > arm.generation) draft.postgres.arm.generation = number;
      });
  }
}

/**
 * Plans a run of all users, or one with a budget. The base of the latter is the current generation of all users, or its
 * base.
 */
function* planSteps(state: LayerState): Steps {
  const { generations, arm, changes } = state.postgres;
  const below = nth(generations, arm.generation - 1).base || arm.generation;
  const kinds = [
    { does: 'all users', base: 0, isChosen: true },
    { does: 'some, with the user', base: below, isChosen: true },
    { does: 'some, without the user', base: below, isChosen: false },
  ];
  for (const { does, ...kind } of kinds) {
    yield step(state, `run ${generations.length + 1} is planned, of ${does}`, (draft) => {
      draft.left.runs--;
      draft.postgres.generations.push({ is: 'planned', ...kind, source: changes, floor: arm.floor, row: null });
      draft.redis.push({ row: null, isWhole: false });
    });
  }
}

/** Returns the row of the current generation, if the generation has the same base and the same bulk changes. */
function carriedRow({ carries }: LayerRules, mine: Generation, before: Generation): Generation['row'] {
  if (mine.base === 0 || before.base !== mine.base) return null;
  return carries === 'all' || before.source === mine.source ? before.row : null;
}

function* armSteps({ drops }: LayerRules, state: LayerState): Steps {
  const { arm, generations } = state.postgres;
  for (const [i, { is }] of generations.entries()) {
    const number = i + 1;
    if (is !== 'published' || number === arm.generation) continue;
    if (state.left.rollbacks > 0) {
      yield step(state, `ROLLBACK to generation ${number}`, (draft) => {
        draft.left.rollbacks--;
        draft.postgres.arm = { generation: number, floor: arm.floor + 1 };
      });
    }
    const isBase = generations.some((one) => one.base === number && one.is !== 'dropped');
    if (isBase && drops === 'no base of another') continue;
    yield step(state, `generation ${number} is dropped`, (draft) => {
      Object.assign(nth(draft.postgres.generations, i), { is: 'dropped', row: null });
    });
  }
}

/** Steps of Redis. A bucket is marked as complete only while it has every row of the generation's bucket. */
function* redisSteps(state: LayerState): Steps {
  for (const [i, { is, row }] of state.postgres.generations.entries()) {
    const bucket = nth(state.redis, i);
    const change = (does: string, then: (bucket: LayerState['redis'][number], draft: LayerState) => void) =>
      step(state, `Redis: the bucket of generation ${i + 1} ${does}`, (draft) => then(nth(draft.redis, i), draft));
    if (row && !bucket.row) {
      yield change('is loaded', (mine) => {
        mine.row = row;
      });
    }
    if (is === 'published' && !bucket.isWhole && (row === null) === (bucket.row === null)) {
      yield change('is marked as whole', (mine) => {
        mine.isWhole = true;
      });
    }
    if (state.left.losses > 0 && (bucket.row || bucket.isWhole)) {
      yield change('is lost', (mine, draft) => {
        draft.left.losses--;
        Object.assign(mine, { row: null, isWhole: false });
      });
    }
  }
}
