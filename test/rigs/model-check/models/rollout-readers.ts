/**
 * A read while arms begin, grow and end. Its certificate names the user's arm, and candidates of other arms do not fit.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { keepRow, putEntry } from './overlay-entries.ts';
import { armOfUser } from './rollout-arms.ts';
import type { Entry, Prediction, Reader, RolloutRules, RolloutState, Told } from './rollout-state.ts';
import { isFreshUnder } from './worth.ts';

export function newRolloutReader(): Reader {
  return {
    ...{
      is: 'away',
      due: { version: 0, takenBack: 0, rollout: null, wasInArm: false },
      assigned: [false, false, false],
    },
    ...{ told: null, early: null },
  };
}

type Steps = Generator<Step<RolloutState>>;
type Change = (does: string, then: (reader: Reader, draft: RolloutState) => void) => Step<RolloutState>;

export function* rolloutReaderSteps(rules: RolloutRules, state: RolloutState, i: number): Steps {
  const reader = nth(state.readers, i);
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  switch (reader.is) {
    case 'away':
      yield change('arrives', (mine, { postgres, wasInArm, left }) => {
        mine.is = 'asking';
        const { version, takenBack, candidate } = postgres;
        mine.due = { version, takenBack, rollout: candidate && left.rollouts, wasInArm };
        mine.assigned[armOfUser(rules, postgres).model] = true;
      });
      return;
    case 'asking':
      if (reader.told === null) yield* askSteps(rules, state, reader, change);
      else yield* answerSteps(rules, state, reader, reader.told, change);
      return;
    case 'answered':
  }
}

function* askSteps(
  rules: RolloutRules,
  { postgres, redis, kept }: RolloutState,
  { early }: Reader,
  change: Change,
): Steps {
  if (early === null) {
    yield change('finds the data in Redis before its certificate', (mine) => {
      mine.early = redis;
    });
  }
  const now = { ...armOfUser(rules, postgres), version: postgres.version };
  const told = rules.assignment === 'certificate' || kept === null ? now : { ...kept, version: postgres.version };
  yield change(`is certified: version ${postgres.version}, ${nameOf(told)}`, (mine, draft) => {
    mine.told = told;
    draft.kept = now;
  });
  // In the control R1 a process uses kept arms, and forgets them after a while.
  if (rules.assignment !== 'certificate' && kept !== null) {
    yield change(`is certified after the process forgot its kept arms: ${nameOf(now)}`, (mine, draft) => {
      mine.told = now;
      draft.kept = now;
    });
  }
}

function nameOf({ isCandidate, model, generation, floor }: Told): string {
  const where = isCandidate ? 'the candidate arm' : 'the stable arm';
  return `${where}, model version ${model}, ${generation === 0 ? 'no generation' : `generation ${generation}`}, floor ${floor}`;
}

function* answerSteps(
  rules: RolloutRules,
  { postgres, redis, memory, flight }: RolloutState,
  { early }: Reader,
  told: Told,
  change: Change,
): Steps {
  const { generation } = told;
  function* offer(where: string, found: Prediction | Entry | null | undefined, of: number): Steps {
    if (!found || !isFresh(rules, told, found, of)) return;
    yield change(`answers as fresh, from ${where}: label ${found.label}`, (mine, draft) => {
      answer(mine, told, found, of, draft);
      if (of > 0) draft.memory = { generation: of, row: found };
    });
  }
  for (const { rows, overlay } of early ? [early, redis] : [redis]) {
    if (generation > 0) yield* offer("Redis' generation", rows[generation - 1], generation);
    yield* offer("Redis' overlay", overlay, 0);
  }
  if (memory && memory.generation === generation) yield* offer('memory', memory.row, generation);
  if (generation > 0) yield* offer("Postgres' row", nth(postgres.generations, generation - 1).row, generation);
  yield* offer("Postgres' entry", postgres.entries[told.model - 1], 0);
  yield* offer('a flight that it followed', flight, 0);
  if (flight !== null) return;
  yield change(`infers live: label ${postgres.version}`, (mine, draft) => {
    const { model, floor } = told;
    const made = { label: draft.postgres.version, model, floor, asked: draft.postgres.takenBack };
    draft.flight = made;
    answer(mine, told, made, 0, draft);
  });
}

/** Stores the result of a flight in Redis and Postgres, at any time. */
export function* keepSteps(state: RolloutState): Steps {
  const { flight } = state;
  if (flight === null) return;
  yield step(state, 'the live result is kept, in Redis and Postgres', (draft) => {
    putEntry(draft, flight);
    keepRow(draft, flight);
    draft.flight = null;
  });
}

function isFresh({ overlay }: RolloutRules, told: Told, found: Prediction | Entry, of: number): boolean {
  const { version, model, generation, floor } = told;
  const isOfAny = of > 0 || overlay === 'any arm';
  const itsFloor = 'floor' in found && !isOfAny ? found.floor : floor;
  return isFreshUnder(
    { version, model, floor, generation: generation || null },
    // Redis and memory know only the number of a generation, so its model version is taken from the assignment.
    { label: found.label, model: isOfAny ? model : found.model, floor: itsFloor, generation: of || null },
  );
}

/** Answers, and checks I4 and I9 by the recorded facts of the computation and of the user's assignments. */
function answer(mine: Reader, told: Told, found: Prediction, of: number, draft: RolloutState): void {
  const { due, assigned } = mine;
  if (found.label < due.version) draft.broken = 'I4: a fresh answer from older context than was acknowledged';
  else if (found.model !== told.model) draft.broken = 'I9: an answer computed by another model version than it names';
  else if (!assigned[told.model]) draft.broken = 'I9: an answer of an arm that the user left before the read';
  else if (of === 0 && told.isCandidate && found.asked < due.takenBack) {
    draft.broken = 'I9: an answer of the overlay from a rollout that was aborted before the read';
  }
  if (!told.isCandidate && due.wasInArm) {
    draft.broken ??= 'I9: the user is back in the stable arm, although the rollout was not aborted';
  }
  const isUnderWay = draft.postgres.candidate !== null && due.rollout === draft.left.rollouts;
  if (told.isCandidate && isUnderWay) draft.wasInArm = true;
  Object.assign(mine, newRolloutReader(), { is: 'answered' });
}
