/**
 * The pointer to the served generation. Publications, rollbacks and adoptions move it in Postgres. Meanwhile rows of earlier
 * generations, and earlier entries of the overlay, are still in Redis and in memory, or on their way there.
 *
 * One user, one history. The model has these steps, in every order:
 *
 * - An event raises the version.
 * - A run of all users is requested (it notes model version and floor), scores, commits, and is published. Its generation
 *   becomes current only if its model version is served, no rollback came after the request, and no newer one is current.
 * - A partial run is requested, scores, commits its entry, and puts it into Redis, late.
 * - A rollback goes to any published generation. The other model version is adopted. A generation that is not current is
 *   dropped (in the product, retention does this much later).
 * - The rows of any generation are loaded into Redis, at any time. Redis loses all data.
 * - Readers of one process share its memory and live results.
 *
 * I9 is checked independently of the rules. An answer must be of an assignment that was current at some moment since the
 * read arrived. After a rollback, no overlay entry that was requested before it may be served as fresh.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { assignmentReaderSteps, newAssignmentReader } from './assignment-readers.ts';
import type { AssignmentRules, AssignmentScope, AssignmentState } from './assignment-state.ts';
import { keepRow, putEntry } from './overlay-entries.ts';

type Steps = Generator<Step<AssignmentState>>;

export function assignment(rules: AssignmentRules, scope: AssignmentScope): Model<AssignmentState> {
  return {
    name: 'assignment',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eventSteps(state);
      yield* runSteps(rules, state);
      yield* partialRunSteps(state);
      yield* armSteps(rules, state);
      yield* redisSteps(rules, state);
      for (const i of state.readers.keys()) yield* assignmentReaderSteps(rules, state, i);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, readers: sorted(state.readers) }),
  };
}

/** Returns the initial state: the first generation is current. */
function initialState({ readers, ...left }: AssignmentScope): AssignmentState {
  const row = { label: 0, model: 1, asked: 0 };
  const arm = { model: 1, generation: 1, floor: 0, revision: 1 };
  return {
    postgres: {
      ...{ version: 0, arm, entries: [null, null], rollbacks: 0 },
      generations: [{ model: 1, is: 'published', floor: 0, asked: 0, row }],
    },
    redis: { rows: [row, null, null, null], overlay: null, pointer: arm },
    memory: null,
    partial: { is: 'idle', model: 0, floor: 0, entry: null },
    flight: null,
    readers: Array.from({ length: readers }, newAssignmentReader),
    left,
    broken: null,
  };
}

function* eventSteps(state: AssignmentState): Steps {
  if (state.left.events === 0) return;
  yield step(state, `an event commits: version ${state.postgres.version + 1}`, (draft) => {
    draft.left.events--;
    draft.postgres.version++;
  });
}

function* runSteps(rules: AssignmentRules, state: AssignmentState): Steps {
  const { generations, arm, version, rollbacks } = state.postgres;
  const number = generations.length;
  const last = nth(generations, number - 1);
  const isUnderWay = last.is === 'building' || last.is === 'scored';
  if (state.left.runs > 0 && !isUnderWay) {
    yield step(
      state,
      `run ${number + 1} is requested, of model version ${arm.model} under floor ${arm.floor}`,
      (draft) => {
        draft.left.runs--;
        const { model, floor } = arm;
        draft.postgres.generations.push({ model, is: 'building', floor, asked: rollbacks, row: null });
      },
    );
  }
  if (last.is === 'building') {
    yield step(state, `run ${number} scores: label ${version}`, (draft) => {
      const mine = nth(draft.postgres.generations, number - 1);
      mine.is = 'scored';
      mine.row = { label: version, model: mine.model, asked: mine.asked };
    });
  }
  if (last.is === 'scored') {
    yield step(state, `generation ${number} is published`, (draft) => publish(rules, draft, number));
  }
}

function publish({ publishes }: AssignmentRules, draft: AssignmentState, number: number): void {
  const { arm, generations } = draft.postgres;
  const mine = nth(generations, number - 1);
  mine.is = 'published';
  const isPast = publishes === 'not past a rollback' && arm.floor !== mine.floor;
  if (arm.model !== mine.model || isPast || arm.generation > number) return;
  // A run that was requested before a rollback must not undo it.
  if (mine.asked < draft.postgres.rollbacks) draft.broken = `I9: generation ${number} undoes a rollback`;
  Object.assign(arm, { generation: number, revision: arm.revision + 1 });
}

function* partialRunSteps(state: AssignmentState): Steps {
  const { partial, postgres } = state;
  const change = (does: string, then: (draft: AssignmentState) => void) =>
    step(state, `the partial run ${does}`, (draft) => then(draft));
  switch (partial.is) {
    case 'idle':
      if (state.left.partialRuns === 0) return;
      yield change('is requested', (draft) => {
        draft.left.partialRuns--;
        draft.partial = { is: 'asked', model: postgres.arm.model, floor: postgres.arm.floor, entry: null };
      });
      return;
    case 'asked':
      yield change(`scores: label ${postgres.version}`, (draft) => {
        const { model, floor } = draft.partial;
        draft.partial.is = 'scored';
        // The floor is that of the request; the features are read now.
        draft.partial.entry = { label: postgres.version, model, floor, asked: postgres.rollbacks };
      });
      return;
    case 'scored':
      yield change('commits its entry', (draft) => {
        draft.partial.is = 'committed';
        if (draft.partial.entry) keepRow(draft, draft.partial.entry);
      });
      return;
    case 'committed':
      yield change('puts its entry into Redis', (draft) => {
        if (draft.partial.entry) putEntry(draft, draft.partial.entry);
        draft.partial = { is: 'idle', model: 0, floor: 0, entry: null };
      });
  }
}

function* armSteps(rules: AssignmentRules, state: AssignmentState): Steps {
  const { arm, generations } = state.postgres;
  for (const [i, { is, model }] of generations.entries()) {
    const number = i + 1;
    if (is !== 'published' || number === arm.generation) continue;
    if (state.left.rollbacks > 0) {
      yield step(state, `ROLLBACK to generation ${number} of model version ${model}`, (draft) => {
        draft.left.rollbacks--;
        draft.postgres.rollbacks++;
        const floor = arm.floor + (rules.floor === 'raised' ? 1 : 0);
        draft.postgres.arm = { model, generation: number, floor, revision: arm.revision + 1 };
      });
    }
    if (number < arm.generation) {
      yield step(state, `generation ${number} is dropped`, (draft) => {
        Object.assign(nth(draft.postgres.generations, i), { is: 'dropped', row: null });
        draft.redis.rows[i] = null;
      });
    }
  }
  if (state.left.adoptions > 0) {
    yield step(state, `model version ${3 - arm.model} is adopted`, (draft) => {
      draft.left.adoptions--;
      Object.assign(draft.postgres.arm, { model: 3 - arm.model, generation: 0, revision: arm.revision + 1 });
    });
  }
}

function* redisSteps(rules: AssignmentRules, state: AssignmentState): Steps {
  const { postgres, redis } = state;
  for (const [i, { row }] of postgres.generations.entries()) {
    if (row === null || redis.rows[i] !== null) continue;
    yield step(state, `generation ${i + 1} is loaded into Redis`, (draft) => {
      draft.redis.rows[i] = row;
    });
  }
  if (rules.pointer === 'redis' && redis.pointer.revision < postgres.arm.revision) {
    yield step(state, 'Redis receives the pointer', (draft) => {
      draft.redis.pointer = draft.postgres.arm;
    });
  }
  if (state.left.flushes > 0) {
    yield step(state, 'FAULT: Redis loses all data', (draft) => {
      draft.left.flushes--;
      draft.redis.rows = [null, null, null, null];
      draft.redis.overlay = null;
    });
  }
}
