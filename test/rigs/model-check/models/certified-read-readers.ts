/**
 * A read, in every order of its steps:
 *
 * - The read arrives. Its certificate and the answer of Redis come in either order.
 * - It takes the newest candidate that is fresh under the certificate. Without such a candidate it reads Postgres' rows.
 *   It also reads them if the certificate names a demanded entry that is newer. A row in memory alone then proves nothing.
 * - As the last resort it boards a flight that has not left, or begins a new flight.
 * - Instead it may follow a flight that has left, or find a flight that has just landed. It takes that result only if the
 *   label is at least the reader's version.
 *
 * A reader that demands an inference boards at once. The flight's own statement, which begins after the reader arrived, is its
 * certificate.
 */
import { nth, type Step, step } from '../checker/model.ts';
import { keepRow, note, put, type Reading, readings, serverName } from './certified-read-computing.ts';
import type { ReadRules } from './certified-read-rules.ts';
import {
  type Flight,
  GENERATION_ROW,
  isBefore,
  newFlight,
  newReader,
  type Prediction,
  type Reader,
  type State,
} from './certified-read-state.ts';
import { isFreshUnder } from './worth.ts';

export function* readerSteps(rules: ReadRules, state: State, i: number): Generator<Step<State>> {
  const reader = nth(state.readers, i);
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  switch (reader.is) {
    case 'away':
      yield change(reader.isDemanding ? 'arrives, and demands an inference' : 'arrives', (mine, draft) =>
        arrive(rules, mine, draft),
      );
      break;
    case 'asking':
      if (reader.isDemanding) yield board(change, state, i);
      else yield* askingSteps(rules, state, reader, change, i);
      break;
    case 'following':
      yield* followingSteps(rules, state, reader, change);
      break;
    case 'riding':
      yield* ridingSteps(rules, state, reader, change);
      break;
    case 'answered':
      break;
  }
  yield* flightSteps(rules, state, i);
  if (i === 0 && rules.certificate === 'statement under way' && state.underWay < 0) {
    yield step(
      state,
      `a statement of the authority reads version ${state.postgres.version}; its answer is not delivered yet`,
      (draft) => {
        draft.underWay = draft.postgres.version;
      },
    );
  }
}

type Change = (does: string, then: (reader: Reader, draft: State) => void) => Step<State>;

function arrive(rules: ReadRules, reader: Reader, draft: State): void {
  reader.is = 'asking';
  reader.due = Math.max(0, ...draft.events.filter(({ is }) => is === 'acknowledged').map(({ context }) => context));
  reader.seen = draft.seen;
  // Memory is a candidate at once. The reader judges it when the certificate arrives.
  if (rules.hasMemoryAndRows && !reader.isDemanding && draft.memory) reader.candidates = [draft.memory];
}

function* askingSteps(
  rules: ReadRules,
  state: State,
  reader: Reader,
  change: Change,
  i: number,
): Generator<Step<State>> {
  if (reader.told < 0) yield* certificates(rules, state, change);
  if (!reader.hasLooked) {
    for (const server of state.redis.keys()) {
      yield change(`finds what ${serverName(state, server)} has`, (mine, draft) => look(rules, mine, draft, server));
    }
    // A reader that gets its certificate from Redis cannot answer without Redis.
    if (rules.certificate !== 'redis') {
      yield change('gets no answer from Redis', (mine) => {
        mine.hasLooked = true;
      });
    }
  }
  if (reader.told < 0) return;
  const best = bestOf(rules, reader);
  // A candidate from memory can settle the read before Redis has answered.
  if (best) {
    yield change(`answers as fresh a prediction computed from context ${best.from}`, (mine, draft) =>
      answer(rules, mine, draft, best),
    );
  } else if (reader.hasLooked && !reader.hasRows && rules.hasMemoryAndRows) {
    yield change("finds Postgres' rows", (mine, draft) => {
      const { entry } = draft.postgres;
      mine.hasRows = true;
      mine.candidates = [GENERATION_ROW, ...(entry ? [entry] : [])];
    });
  } else if (reader.hasLooked) {
    yield board(change, state, i);
    yield* landedSteps(rules, state, reader, change);
  }
}

/** Returns the candidate that answers; undefined if there is none yet. */
function bestOf(rules: ReadRules, { candidates, told, demanded, hasRows }: Reader): Prediction | undefined {
  const fresh = candidates.filter((candidate) => isGood(rules, told, candidate));
  const best =
    rules.answers === 'the newest'
      ? fresh.reduce<Prediction | undefined>((one, other) => (one && !isBefore(one, other) ? one : other), undefined)
      : fresh[0];
  const isBehind = best !== undefined && demanded !== null && isBefore(best, demanded);
  return isBehind && rules.memory === 'gives way to demanded answers' && !hasRows ? undefined : best;
}

/** The certificate of a read. I4: it must come from a statement that began after the read arrived. */
function* certificates(rules: ReadRules, state: State, change: Change): Generator<Step<State>> {
  const { version, changedAt } = state.postgres;
  if (rules.certificate === 'own statement' || rules.certificate === 'statement under way') {
    yield change(`is certified: the version is ${version}`, (mine, draft) => {
      mine.told = version;
      const { entry } = draft.postgres;
      if (rules.watchesOrder && entry?.isDemanded) mine.demanded = { label: entry.label, time: entry.time };
    });
  }
  if (state.underWay >= 0) {
    yield change(`joins the earlier statement, which returns version ${state.underWay}`, (mine, draft) => {
      mine.told = draft.underWay;
      draft.underWay = -1;
    });
  }
  if (rules.certificate === 'times') {
    yield change(`reads that the context changed at ${changedAt}`, (mine) => {
      mine.told = changedAt;
    });
  }
  if (rules.certificate === 'none') {
    yield change('asks for no certificate', (mine) => {
      mine.told = 0;
    });
  }
}

function look(rules: ReadRules, reader: Reader, draft: State, server: number): void {
  const { generation, overlay, hint } = nth(draft.redis, server);
  reader.hasLooked = true;
  reader.candidates = [...reader.candidates, generation, overlay].filter((one) => one !== null);
  if (rules.certificate === 'redis') reader.told = hint;
}

function isGood(rules: ReadRules, told: number, { label, time, isGeneration }: Prediction): boolean {
  if (rules.certificate === 'none') return true;
  if (rules.certificate === 'times') return time >= told;
  return isFreshUnder({ version: told, generation: 1 }, { label, generation: isGeneration ? 1 : null });
}

function mayFollow(rules: ReadRules, told: number, prediction: Prediction): boolean {
  return rules.follows === 'whatever it is' || isGood(rules, told, prediction);
}

/**
 * Answers the read. Checks I4: a fresh answer contains every event that was acknowledged before the read arrived. Checks
 * I13: it is not older than a demanded answer that was given before.
 */
function answer(rules: ReadRules, reader: Reader, draft: State, prediction: Prediction): void {
  if (prediction.from < reader.due) {
    draft.broken = `I4: a fresh answer from context ${prediction.from}, but ${reader.due} was acknowledged before the read`;
  }
  if (rules.watchesOrder && isBefore(prediction, reader.seen)) {
    draft.broken = `I13: an answer of time ${prediction.time}, but one of time ${reader.seen.time} was given before`;
  }
  if (rules.watchesOrder) note(draft, prediction);
  if (rules.hasMemoryAndRows && prediction.isGeneration) draft.memory = prediction;
  // The reader's knowledge is reset, so that states that differ only in it are equal.
  Object.assign(reader, { ...newReader(reader.isDemanding), is: 'answered' });
  forgetFlights(draft);
}

function board(change: Change, state: State, i: number): Step<State> {
  const { boarding } = state;
  const flight = boarding < 0 ? undefined : nth(state.flights, boarding);
  if (flight?.is === 'waiting')
    return change(`boards flight ${boarding + 1}, which has not left`, (mine, draft) => ride(mine, draft, boarding));
  const isDemanding = nth(state.readers, i).isDemanding;
  if (flight && !isDemanding) {
    return change(`follows flight ${boarding + 1}, which has left`, (mine) => {
      mine.is = 'following';
      mine.flight = boarding;
      mine.candidates = [];
    });
  }
  return change('begins a flight', begin(i));
}

/** A reader can take a result for a moment after it has landed. This step may also not happen. */
function* landedSteps(rules: ReadRules, state: State, reader: Reader, change: Change): Generator<Step<State>> {
  const { boarding, landed } = state;
  if (boarding >= 0 || landed === null || !mayFollow(rules, reader.told, landed)) return;
  yield change(`takes the result of a flight that has landed, of context ${landed.from}`, (mine, draft) =>
    answer(rules, mine, draft, landed),
  );
}

function begin(i: number) {
  return (reader: Reader, draft: State) => {
    draft.flights[i] = newFlight('waiting');
    draft.boarding = i;
    ride(reader, draft, i);
  };
}

function ride(reader: Reader, draft: State, flight: number): void {
  if (reader.isDemanding) nth(draft.flights, flight).isDemanded = true;
  reader.is = 'riding';
  reader.flight = flight;
  reader.candidates = [];
}

function* followingSteps(rules: ReadRules, state: State, reader: Reader, change: Change): Generator<Step<State>> {
  const { is, prediction } = nth(state.flights, reader.flight);
  if (is !== 'landed' || !prediction) return;
  if (mayFollow(rules, reader.told, prediction)) {
    yield change(`takes the flight's result, of context ${prediction.from}`, (mine, draft) =>
      answer(rules, mine, draft, prediction),
    );
  } else {
    yield change("does not take the flight's result, which is too old", (mine, draft) => {
      mine.is = 'asking';
      mine.flight = -1;
      mine.hasRows = true;
      forgetFlights(draft);
    });
  }
}

function* ridingSteps(rules: ReadRules, state: State, reader: Reader, change: Change): Generator<Step<State>> {
  const { is, prediction } = nth(state.flights, reader.flight);
  if (is !== 'landed' || !prediction) return;
  yield change(`answers live, from context ${prediction.from}`, (mine, draft) =>
    answer(rules, mine, draft, prediction),
  );
}

/**
 * The steps V1 to V4 of a flight. No reader waits for Redis to store the result. A demanded result is in Postgres' rows before
 * it is in Redis, where other readers find it.
 */
function* flightSteps(rules: ReadRules, state: State, i: number): Generator<Step<State>> {
  const flight = nth(state.flights, i);
  const change = (does: string, then: (flight: Flight, draft: State) => void) =>
    step(state, `flight ${i + 1}: ${does}`, (draft) => then(nth(draft.flights, i), draft));
  const take = (read: Reading) =>
    change(read.does, (mine, draft) => {
      mine.prediction = read.take(draft);
      mine.is = read.isWhole ? 'left' : 'reading';
      mine.isKept = !read.isWhole;
      mine.isInRows = !read.isWhole || !rules.watchesOrder || !mine.isDemanded;
    });
  if (flight.is === 'waiting' || flight.is === 'reading') {
    for (const read of readings(rules, state, flight.prediction, 'flight', flight.isDemanded)) yield take(read);
  }
  if (!flight.isInRows && flight.prediction) {
    yield change("keeps its demanded result in Postgres' rows", (mine, draft) => {
      keepRow(draft, mine.prediction);
      mine.isInRows = true;
      forgetFlights(draft);
    });
  }
  if (flight.is === 'left' && (flight.isInRows || rules.keepsDemanded === 'after the answer')) {
    yield change('lands', (mine, draft) => {
      mine.is = 'landed';
      if (rules.times === 'at completion' && mine.prediction) mine.prediction.time = ++draft.clock;
      if (draft.boarding === i) draft.boarding = -1;
      draft.landed = mine.prediction;
      forgetFlights(draft);
    });
  }
  const mayKeep = flight.isInRows || rules.keepsDemanded === 'after the answer';
  if (!flight.isKept && flight.prediction && mayKeep) {
    for (const server of state.redis.keys()) {
      yield change(`puts its result into ${serverName(state, server)}`, (mine, draft) => {
        put(rules, draft, server, mine.prediction);
        mine.isKept = true;
        forgetFlights(draft);
      });
    }
  }
}

/** Removes landed flights that are stored and have no reader, and a landed result that no reader can take. */
function forgetFlights(draft: State): void {
  const mayTake = draft.readers.some(({ is, isDemanding }) => !isDemanding && is !== 'riding' && is !== 'answered');
  if (!mayTake) draft.landed = null;
  draft.flights.forEach((flight, i) => {
    const isOver =
      flight.is === 'landed' &&
      flight.isKept &&
      flight.isInRows &&
      draft.readers.every((reader) => reader.flight !== i);
    if (isOver) draft.flights[i] = newFlight('none');
  });
}
