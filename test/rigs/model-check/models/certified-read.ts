/**
 * The promise for one user: after an event is acknowledged, no later read gets a fresh answer from an older context.
 *
 * One user of one predictor, with a fixed generation, model version, floor and history (assignment.ts and history.ts change
 * those). The model has these steps, in every order:
 *
 * - Events: over HTTP (commit, then acknowledgement) and in SQL (the commit acknowledges). A user's row is locked, so events
 *   commit one by one. Redis receives the version at any later time, or never.
 * - Workers of partial runs read features and version, infer, commit the entry in Postgres and load Redis. Each step
 *   may be late.
 * - Re-scorings of stale users: certified-read-rescorers.ts.
 * - Reads of one process: certified-read-readers.ts.
 * - Faults: a process is killed; Redis loses all data, returns to an old copy, or splits into two servers.
 *
 * If `rules.watchesOrder`, answers also have an order (I13): after a demanded answer was given, or the entry of a partial run
 * was committed, no later fresh answer is older, neither by label nor, with an equal label, by time.
 *
 * A context is the number of events that it contains. A prediction records the context from which it was really
 * computed (`from`). No process of the model reads this field. The invariants compare it with the label, which
 * processes read.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { keepRow, note, put, readings, serverName, tick } from './certified-read-computing.ts';
import { readerSteps } from './certified-read-readers.ts';
import { rescorerSteps } from './certified-read-rescorers.ts';
import type { ReadRules } from './certified-read-rules.ts';
import {
  type Event,
  GENERATION_ROW,
  NOTHING_SEEN,
  newFlight,
  newReader,
  newRescorer,
  type ReadScope,
  type State,
  type Worker,
} from './certified-read-state.ts';

export function certifiedRead(rules: ReadRules, scope: ReadScope): Model<State> {
  return {
    name: 'certified read',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      for (const [i, event] of state.events.entries()) yield* eventSteps(rules, state, event, i);
      for (const [i, worker] of state.workers.entries()) yield* workerSteps(rules, state, worker, i);
      yield* rescorerSteps(rules, state);
      for (const i of state.readers.keys()) yield* readerSteps(rules, state, i);
      if (state.faultsLeft > 0) yield* faultSteps(state);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, workers: sorted(state.workers), rescorers: sorted(state.rescorers) }),
    isSettled: ({ events, workers, rescorers, readers }) =>
      events.every((event) => event.is === 'acknowledged') &&
      workers.every((worker) => worker.is === 'done') &&
      rescorers.every(({ is }) => is === 'idle' || is === 'done') &&
      readers.every((reader) => reader.is === 'answered'),
  };
}

function initialState({ events, workers, rescorers = 0, readers, faults }: ReadScope): State {
  return {
    postgres: { context: 0, version: 0, entry: null, changedAt: 0 },
    events: events.map((sentBy) => ({ sentBy, is: 'unsent', context: 0, time: 0 })),
    redis: [{ generation: GENERATION_ROW, overlay: null, hint: 0 }],
    saved: null,
    workers: Array.from({ length: workers }, () => ({ is: 'idle', prediction: null })),
    queued: 0,
    rescorers: Array.from({ length: rescorers }, newRescorer),
    readers: readers.map(newReader),
    flights: readers.map(() => newFlight('none')),
    boarding: -1,
    landed: null,
    memory: null,
    seen: NOTHING_SEEN,
    underWay: -1,
    faultsLeft: faults,
    clock: 0,
    broken: null,
  };
}

function* eventSteps(rules: ReadRules, state: State, event: Event, i: number): Generator<Step<State>> {
  const name = `event ${i + 1} (${event.sentBy})`;
  const isLocked = state.events.some((other) => other.is === 'open');
  // No process sees a transaction before its commit, so its start is a step only if it takes the event's time.
  const isOneStep = rules.times !== 'at read, event at begin';
  if (event.is === 'unsent' && !isLocked && !isOneStep) {
    yield step(state, `${name}: its transaction begins and holds the user's row`, (draft) => {
      const begun = nth(draft.events, i);
      begun.is = 'open';
      begun.time = tick(rules, draft);
    });
  }
  if (event.is === (isOneStep ? 'unsent' : 'open')) {
    yield step(state, `${name}: commits${event.sentBy === 'sql' ? ', which acknowledges it' : ''}`, (draft) =>
      commitEvent(rules, draft, nth(draft.events, i)),
    );
  }
  const isCommitted = event.is === 'committed' || event.is === 'acknowledged';
  const waitsForRedis = rules.acknowledges === 'after telling Redis';
  if (isCommitted && !(waitsForRedis && event.is === 'acknowledged')) {
    for (const [server, { hint }] of state.redis.entries()) {
      if (hint >= event.context && !waitsForRedis) continue;
      yield step(state, `${name}: ${serverName(state, server)} receives the version`, (draft) => {
        tell(rules, draft, server, event.context);
        if (waitsForRedis) nth(draft.events, i).is = 'told';
      });
    }
  }
  if (event.is === 'told' || (event.is === 'committed' && (!waitsForRedis || rules.tellingMayFail))) {
    const how = event.is === 'committed' && waitsForRedis ? ', though the message to Redis failed' : '';
    yield step(state, `${name}: is acknowledged${how}`, (draft) => {
      nth(draft.events, i).is = 'acknowledged';
    });
  }
  if (i === 0 && rules.contextRow === 'may be deleted' && state.postgres.version > 0) {
    yield step(state, "housekeeping deletes the row of the user's version", (draft) => {
      draft.postgres.version = 0;
    });
  }
  if (i === 0 && rules.sqlEvent === 'poller' && state.postgres.version < state.postgres.context) {
    yield step(state, 'the poller raises the version', (draft) => {
      draft.postgres.version = draft.postgres.context;
    });
  }
}

/** Commits an event. I2, I3: the version rises in the event's transaction, and is announced only after the commit. */
function commitEvent(rules: ReadRules, draft: State, event: Event): void {
  const { postgres } = draft;
  postgres.context++;
  const waitsForPoller = rules.sqlEvent === 'poller' && event.sentBy === 'sql';
  if (!waitsForPoller) postgres.version = rules.contextRow === 'stays' ? postgres.context : postgres.version + 1;
  event.context = postgres.context;
  event.is = event.sentBy === 'sql' && rules.acknowledges === 'after commit' ? 'acknowledged' : 'committed';
  if (rules.times === null) return;
  postgres.changedAt = rules.times === 'at read, event at begin' ? event.time : tick(rules, draft);
  event.time = 0;
}

function tell(rules: ReadRules, draft: State, server: number, context: number): void {
  const redis = nth(draft.redis, server);
  if (rules.certificate === 'none') {
    redis.generation = null;
    redis.overlay = null;
  } else redis.hint = Math.max(redis.hint, context);
}

/** Steps of a chunk of a partial run, B3 to B8. It is repeated if its worker is killed, and no read waits for it. */
function* workerSteps(rules: ReadRules, state: State, worker: Worker, i: number): Generator<Step<State>> {
  const name = `worker ${i + 1}`;
  const change = (does: string, then: (worker: Worker, draft: State) => void) =>
    step(state, `${name}: ${does}`, (draft) => then(nth(draft.workers, i), draft));
  switch (worker.is) {
    case 'idle':
    case 'reading':
      for (const read of readings(rules, state, worker.prediction, 'worker')) {
        yield change(read.does, (mine, draft) => {
          mine.prediction = read.take(draft);
          mine.is = read.isWhole ? 'scored' : 'reading';
        });
      }
      return;
    case 'scored':
      yield change('commits its prediction in Postgres', (mine, draft) => {
        if (rules.times === 'at completion' && mine.prediction) mine.prediction.time = tick(rules, draft);
        keepRow(draft, mine.prediction);
        if (mine.prediction) note(draft, mine.prediction);
        mine.is = 'committed';
      });
      return;
    case 'committed':
      for (const server of state.redis.keys()) {
        yield change(`puts its prediction into ${serverName(state, server)}`, (mine, draft) => {
          put(rules, draft, server, mine.prediction);
          mine.is = 'done';
          mine.prediction = null;
        });
      }
      yield change('cannot reach Redis', (mine) => {
        mine.is = 'done';
        mine.prediction = null;
      });
      return;
    case 'done':
      return;
  }
}

function* faultSteps(state: State): Generator<Step<State>> {
  const fault = (does: string, change: (draft: State) => void) =>
    step(state, `FAULT: ${does}`, (draft) => {
      draft.faultsLeft--;
      change(draft);
    });
  if (state.readers.some(({ is }) => is !== 'away' && is !== 'answered') || state.memory) {
    yield fault('the process of the readers dies; the readers arrive again', (draft) => {
      draft.readers = draft.readers.map((reader) =>
        reader.is === 'answered' ? reader : newReader(reader.isDemanding),
      );
      draft.flights = draft.flights.map(() => newFlight('none'));
      draft.boarding = -1;
      draft.landed = null;
      draft.memory = null;
      draft.underWay = -1;
    });
  }
  for (const [i, worker] of state.workers.entries()) {
    if (worker.is === 'idle' || worker.is === 'done') continue;
    yield fault(`worker ${i + 1} dies; the chunk begins again`, (draft) => {
      draft.workers[i] = { is: 'idle', prediction: null };
    });
  }
  const [redis] = state.redis;
  if (state.redis.length > 1 || !redis) return;
  const empty = { generation: null, overlay: null, hint: 0 };
  yield fault('Redis loses all data', (draft) => {
    draft.redis = [empty];
  });
  yield fault('Redis splits into two servers; each process may use either', (draft) => {
    draft.redis = [redis, redis].map((copy) => ({ ...copy }));
  });
  if (state.saved === null) {
    yield step(state, 'Redis is saved', (draft) => {
      draft.saved = nth(draft.redis, 0);
    });
    return;
  }
  yield fault('Redis returns to the saved copy', (draft) => {
    draft.redis = draft.saved ? [draft.saved] : draft.redis;
    draft.saved = null;
  });
}
