/**
 * A read while the pointer moves. Its certificate names the assignment, and candidates of other assignments do not fit.
 */
import { nth, type Step, step } from '../checker/model.ts';
import type { AssignmentReader, AssignmentRules, AssignmentState, Entry, Prediction } from './assignment-state.ts';
import { keepRow, putEntry } from './overlay-entries.ts';
import { isFreshUnder } from './worth.ts';

export function newAssignmentReader(): AssignmentReader {
  return { is: 'away', due: { version: 0, revision: 0, rollbacks: 0 }, told: null, early: null };
}

type Change = (does: string, then: (reader: AssignmentReader, draft: AssignmentState) => void) => Step<AssignmentState>;
type Told = NonNullable<AssignmentReader['told']>;

export function* assignmentReaderSteps(
  rules: AssignmentRules,
  state: AssignmentState,
  i: number,
): Generator<Step<AssignmentState>> {
  const reader = nth(state.readers, i);
  const { postgres, redis, flight } = state;
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  if (i === 0 && flight) {
    yield step(state, 'the live result is kept, in Redis and Postgres', (draft) => {
      putEntry(draft, flight);
      keepRow(draft, flight);
      draft.flight = null;
    });
  }
  if (reader.is === 'away') {
    yield change('arrives', (mine) => {
      mine.is = 'asking';
      const { version, arm, rollbacks } = postgres;
      mine.due = { version, revision: arm.revision, rollbacks };
    });
  }
  if (reader.is !== 'asking') return;
  if (reader.told === null) {
    if (reader.early === null) {
      yield change('finds the data in Redis before its certificate', (mine) => {
        mine.early = redis;
      });
    }
    const arm = rules.pointer === 'redis' ? redis.pointer : postgres.arm;
    yield change(`is certified: version ${postgres.version}, ${nameOf(arm)}`, (mine) => {
      mine.told = { ...arm, version: postgres.version };
    });
    return;
  }
  yield* answerSteps(state, reader, reader.told, change);
}

function nameOf({ model, generation, floor }: Omit<Told, 'version'>): string {
  return `model version ${model}, ${generation === 0 ? 'no generation' : `generation ${generation}`}, floor ${floor}`;
}

function* answerSteps(
  state: AssignmentState,
  { early }: AssignmentReader,
  told: Told,
  change: Change,
): Generator<Step<AssignmentState>> {
  const { postgres, redis, memory, flight } = state;
  const { generation } = told;
  function* offer(
    where: string,
    found: Prediction | Entry | null | undefined,
    of: number,
  ): Generator<Step<AssignmentState>> {
    if (!found || !isFresh(told, found, of)) return;
    yield change(`answers as fresh, from ${where}: label ${found.label}`, (mine, draft) => {
      check(mine, told, found, of, draft);
      if (of > 0) draft.memory = { generation: of, row: found };
      Object.assign(mine, newAssignmentReader(), { is: 'answered' });
    });
  }
  for (const { rows, overlay } of early ? [early, redis] : [redis]) {
    if (generation > 0) yield* offer("Redis' generation", rows[generation - 1], generation);
    yield* offer("Redis' overlay", overlay, 0);
  }
  if (memory && memory.generation === generation) yield* offer('memory', memory.row, generation);
  if (generation > 0) yield* offer("Postgres' row", postgres.generations[generation - 1]?.row, generation);
  yield* offer("Postgres' entry", postgres.entries[told.model - 1], 0);
  if (flight) yield* offer('a flight that it followed', flight, 0);
  else {
    yield change(`infers live: label ${postgres.version}`, (mine, draft) => {
      const { model, floor } = told;
      draft.flight = { label: postgres.version, model, floor, asked: postgres.rollbacks };
      check(mine, told, draft.flight, 0, draft);
      Object.assign(mine, newAssignmentReader(), { is: 'answered' });
    });
  }
}

function isFresh(told: Told, found: Prediction | Entry, of: number): boolean {
  const { version, model, generation, floor } = told;
  const itsFloor = 'floor' in found ? found.floor : 0;
  return isFreshUnder(
    { version, model, floor, generation: generation || null },
    // Redis and memory know only the number of a generation, so its model version is taken from the assignment.
    { label: found.label, model: of > 0 ? model : found.model, floor: itsFloor, generation: of || null },
  );
}

/** Checks I4 and I9 by the recorded facts of the computation. */
function check({ due }: AssignmentReader, told: Told, found: Prediction, of: number, draft: AssignmentState): void {
  if (found.label < due.version) draft.broken = 'I4: a fresh answer from older context than was acknowledged';
  else if (told.revision < due.revision) draft.broken = 'I9: an answer of an assignment that was over before the read';
  else if (found.model !== told.model) draft.broken = 'I9: an answer of another model version than the one assigned';
  else if (of === 0 && found.asked < due.rollbacks) {
    draft.broken = 'I9: an answer of the overlay from before a rollback that was over before the read';
  }
}
