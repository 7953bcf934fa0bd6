/**
 * A bulk change of a watched source: one statement that changes too many users to raise each user's version. It raises the
 * predictor's source version instead, in the application's own transaction.
 *
 * The source version counts in two places. Each run notes it before it reads features: if Postgres has a higher one now, the
 * run's whole generation is stale. The overlay floor in a certificate is the arm's own floor plus the source version: an entry
 * stored under a lower floor does not fit.
 *
 * One user, one predictor, one history, one model version. The model has these steps, in every order:
 *
 * - A bulk change commits. An event of the user commits.
 * - A run of all users notes the source version, reads features later, commits, and is published.
 * - A partial run does the same with an entry. A re-scoring starts without a read.
 * - A rollback to a published generation raises the arm's floor.
 * - Readers have a certificate, candidates of any age, and live inferences that are shared and stored late.
 *
 * A prediction records the bulk changes in its features (`from`), which no process reads. A fresh answer must contain every
 * bulk change and event that was committed before its reader arrived, and must not be from before a rollback.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { computed, floorOf, keep } from './bulk-change-computing.ts';
import { bulkReaderSteps, newBulkReader } from './bulk-change-readers.ts';
import type { BulkRules, BulkScope, BulkState } from './bulk-change-state.ts';

type Steps = Generator<Step<BulkState>>;

export function bulkChange(rules: BulkRules, scope: BulkScope): Model<BulkState> {
  return {
    name: 'bulk change',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* changeSteps(rules, state);
      yield* runSteps(rules, state);
      yield* unreadSteps(rules, state, 'partial');
      yield* unreadSteps(rules, state, 'rescoring');
      for (const i of state.readers.keys()) yield* bulkReaderSteps(rules, state, i);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, readers: sorted(state.readers) }),
  };
}

function initialState({ readers, rescorings = 0, ...left }: BulkScope): BulkState {
  const row = { label: 0, from: 0, asked: 0 };
  return {
    postgres: {
      ...{ changes: 0, source: 0, version: 0, rollbacks: 0, arm: { generation: 1, floor: 0 }, entry: null },
      generations: [{ is: 'published', source: 0, floor: 0, row }],
    },
    redis: { rows: [1], overlay: null },
    partial: { is: 'idle', floor: 0, entry: null },
    rescoring: { is: 'idle', floor: 0, entry: null },
    flight: null,
    readers: Array.from({ length: readers }, newBulkReader),
    left: { ...left, rescorings },
    broken: null,
  };
}

function* changeSteps(rules: BulkRules, state: BulkState): Steps {
  const { left, postgres } = state;
  if (left.changes > 0) {
    yield step(state, `bulk change ${postgres.changes + 1} commits`, (draft) => {
      draft.left.changes--;
      draft.postgres.changes++;
      if (rules.raised === 'in the transaction') draft.postgres.source++;
    });
  }
  if (postgres.source < postgres.changes) {
    yield step(state, 'the poller raises the source version', (draft) => {
      draft.postgres.source = draft.postgres.changes;
    });
  }
  if (left.events > 0) {
    yield step(state, `an event commits: version ${postgres.version + 1}`, (draft) => {
      draft.left.events--;
      draft.postgres.version++;
    });
  }
  for (const [i, { is }] of postgres.generations.entries()) {
    if (left.rollbacks === 0 || is !== 'published' || i + 1 === postgres.arm.generation) continue;
    yield step(state, `ROLLBACK to generation ${i + 1}`, (draft) => {
      draft.left.rollbacks--;
      draft.postgres.rollbacks++;
      draft.postgres.arm = { generation: i + 1, floor: postgres.arm.floor + 1 };
    });
  }
}

function* runSteps(rules: BulkRules, state: BulkState): Steps {
  const { generations, arm, source, rollbacks } = state.postgres;
  const number = generations.length;
  const last = nth(generations, number - 1);
  const change = (does: string, then: (draft: BulkState) => void) => step(state, `run ${number} ${does}`, then);
  if (last.is === 'published' && state.left.runs > 0) {
    yield step(state, `run ${number + 1} is planned, and notes source version ${source}`, (draft) => {
      draft.left.runs--;
      const row = { label: 0, from: -1, asked: rollbacks };
      draft.postgres.generations.push({ is: 'planned', source, floor: arm.floor, row });
    });
  }
  if (last.is === 'planned') {
    yield change('reads features and scores', (draft) => {
      const mine = nth(draft.postgres.generations, number - 1);
      mine.is = 'scored';
      mine.row = { ...computed(state), asked: mine.row?.asked ?? 0 };
    });
  }
  if (last.is === 'scored') {
    yield change('commits and is published', (draft) => {
      const mine = nth(draft.postgres.generations, number - 1);
      mine.is = 'published';
      if (rules.runNotes === 'when it commits') mine.source = source;
      draft.redis.rows.push(number);
      if (arm.floor === mine.floor && number > arm.generation) draft.postgres.arm.generation = number;
    });
  }
}

/**
 * Steps of partial runs and re-scorings: they read the floor first, features later, and store the entry at any time.
 */
function* unreadSteps(rules: BulkRules, state: BulkState, which: 'partial' | 'rescoring'): Steps {
  const left = which === 'partial' ? 'partialRuns' : 'rescorings';
  const mine = state[which];
  const change = (does: string, then: (draft: BulkState) => void) =>
    step(state, `the ${which === 'partial' ? 'partial run' : 're-scoring'} ${does}`, then);
  if (mine.is === 'idle' && state.left[left] > 0) {
    yield change(`asks for the floor: ${floorOf(rules, state)}`, (draft) => {
      draft.left[left]--;
      draft[which] = {
        is: 'asked',
        floor: floorOf(rules, state),
        entry: { label: 0, from: -1, asked: state.postgres.rollbacks, floor: 0 },
      };
    });
  }
  if (mine.is === 'asked') {
    yield change('reads features and scores', (draft) => {
      draft[which].is = 'scored';
      draft[which].entry = { ...computed(state), asked: mine.entry?.asked ?? 0, floor: mine.floor };
    });
  }
  if (mine.is === 'scored') {
    yield change('stores its entry', (draft) => {
      const isLate =
        which === 'partial' ? rules.runNotes === 'when it commits' : rules.rescoredFloor !== 'asked before';
      if (mine.entry) keep(draft, { ...mine.entry, floor: isLate ? floorOf(rules, state) : mine.floor });
      draft[which] = { is: 'idle', floor: 0, entry: null };
    });
  }
}
