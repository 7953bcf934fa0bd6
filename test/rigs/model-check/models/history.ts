/**
 * A database that loses its last commits by a failover to a lagging standby or by a restore. Data of the lost history
 * are still in processes, in Redis and in memory. The new history assigns their versions to other events. So a version
 * proves nothing without its history (Q1).
 *
 * One user, one chunk, one generation that is being built at the loss or has just been published. Context is a set of events,
 * as bits, because after a loss the same version is another context. The model has these steps, in every order:
 *
 * - An event commits (in SQL: the commit acknowledges) and raises the version.
 * - Two workers claim the chunk (also after another worker's lease), read, commit under fence and history, load Redis late.
 * - A loader reads the generation's rows, and writes them to Redis later.
 * - Readers of one process share memory and live results.
 * - The database is saved (the data that a standby has received), and later replaced by that copy, under another history.
 * - Postgres restarts without a loss; if its start time names the history, another history begins.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { historyReaderSteps, newHistoryReader } from './history-readers.ts';
import type { HistoryRules, HistoryScope, HistoryState, HistoryWorker, Postgres } from './history-state.ts';

export function history(rules: HistoryRules, scope: HistoryScope): Model<HistoryState> {
  return {
    name: 'history',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eventSteps(state);
      for (const [i, worker] of state.workers.entries()) yield* workerSteps(rules, scope, state, worker, i);
      yield* publishSteps(rules, state);
      yield* loaderSteps(state);
      for (const i of state.readers.keys()) yield* historyReaderSteps(rules, state, i);
      yield* restartSteps(rules, state);
      yield* lossSteps(rules, state);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, workers: sorted(state.workers), readers: sorted(state.readers) }),
  };
}

function initialState({ events, workers, readers, losses, restarts, flushes }: HistoryScope): HistoryState {
  const chunk = { is: 'waiting' as const, fence: 0, row: null };
  return {
    postgres: { history: 1, context: 0, version: 0, runHistory: 1, idOf: 1, chunk, isPublished: false },
    saved: null,
    historiesMade: 1,
    everCommitted: 0,
    eventsLeft: events,
    lossesLeft: losses,
    restartsLeft: restarts,
    flushesLeft: flushes,
    workers: Array.from({ length: workers }, idleWorker),
    loader: null,
    redis: { generation: [null, null, null, null], overlay: null },
    memory: null,
    flight: null,
    readers: Array.from({ length: readers }, newHistoryReader),
    broken: null,
  };
}

function idleWorker(): HistoryWorker {
  return { is: 'idle', fence: 0, runHistory: 0, idOf: 0, result: null };
}

function* eventSteps(state: HistoryState): Generator<Step<HistoryState>> {
  if (state.eventsLeft === 0) return;
  const event = 1 << (state.eventsLeft - 1);
  yield step(
    state,
    `an event commits: version ${state.postgres.version + 1} of history ${state.postgres.history}`,
    (draft) => {
      draft.eventsLeft--;
      draft.everCommitted |= event;
      draft.postgres.context |= event;
      draft.postgres.version++;
    },
  );
}

function* workerSteps(
  rules: HistoryRules,
  scope: HistoryScope,
  state: HistoryState,
  worker: HistoryWorker,
  i: number,
): Generator<Step<HistoryState>> {
  const { postgres } = state;
  const change = (does: string, then: (worker: HistoryWorker, draft: HistoryState) => void) =>
    step(state, `worker ${i + 1}: ${does}`, (draft) => then(nth(draft.workers, i), draft));
  switch (worker.is) {
    case 'idle':
      if (postgres.chunk.is === 'committed' || postgres.chunk.fence >= scope.claims) return;
      yield change(`claims the chunk${postgres.chunk.is === 'claimed' ? ', whose lease is over' : ''}`, (mine, draft) =>
        claim(rules, mine, draft),
      );
      return;
    case 'claimed':
      yield change(`reads features and version ${postgres.version} of history ${postgres.history}`, (mine, draft) => {
        mine.is = 'scored';
        mine.result = { history: postgres.history, label: draft.postgres.version, from: draft.postgres.context };
      });
      return;
    case 'scored':
      yield change(mayCommit(state, worker) ? 'commits its row' : 'may not commit, and gives up', commit);
      return;
    case 'committed':
      yield change('loads its row into Redis', (mine, draft) => {
        const isLate = rules.id === 'asked late';
        draft.redis.generation[isLate ? postgres.idOf : mine.idOf] = mine.result;
        draft.workers[i] = idleWorker();
      });
  }
}

/** Claims the chunk (B3). If the run is of another history, it begins again. */
function claim(rules: HistoryRules, worker: HistoryWorker, draft: HistoryState): void {
  const { postgres } = draft;
  if (postgres.runHistory !== postgres.history) beginAgain(rules, postgres);
  postgres.chunk.is = 'claimed';
  postgres.chunk.fence++;
  Object.assign(worker, { is: 'claimed', fence: postgres.chunk.fence, runHistory: postgres.history });
  worker.idOf = postgres.idOf;
}

/** Begins the run again. The fence does not change: a worker of the lost history may hold the same fence. */
function beginAgain(rules: HistoryRules, postgres: Postgres): void {
  postgres.runHistory = postgres.history;
  if (rules.id !== 'kept') postgres.idOf = postgres.history;
  Object.assign(postgres.chunk, { is: 'waiting', row: null });
}

function mayCommit({ postgres }: HistoryState, { fence, runHistory, result }: HistoryWorker): boolean {
  const isHeld = postgres.chunk.is === 'claimed' && postgres.chunk.fence === fence;
  return isHeld && postgres.history === runHistory && postgres.history === result?.history;
}

/** Commits the row of a worker (B6). */
function commit(worker: HistoryWorker, draft: HistoryState): void {
  if (!mayCommit(draft, worker)) {
    Object.assign(worker, idleWorker());
    return;
  }
  draft.postgres.chunk.is = 'committed';
  draft.postgres.chunk.row = worker.result;
  worker.is = 'committed';
}

/**
 * Publishes the generation. If the history has changed, the product begins the run again. Both are allowed, because the
 * committed row is correct.
 */
function* publishSteps(rules: HistoryRules, state: HistoryState): Generator<Step<HistoryState>> {
  const { isPublished, chunk, runHistory, history } = state.postgres;
  if (isPublished || chunk.is !== 'committed') return;
  yield step(state, 'the generation is published', (draft) => {
    draft.postgres.isPublished = true;
  });
  if (runHistory === history) return;
  yield step(state, 'the run, which would be published, begins again', (draft) => beginAgain(rules, draft.postgres));
}

/** Loads the whole generation from its rows, as after a flush. */
function* loaderSteps(state: HistoryState): Generator<Step<HistoryState>> {
  const { isPublished, chunk, idOf } = state.postgres;
  if (state.loader) {
    yield step(state, 'the loader writes the row that it read into Redis', (draft) => {
      if (draft.loader) draft.redis.generation[draft.loader.idOf] = draft.loader.row;
      draft.loader = null;
    });
  } else if (isPublished && chunk.row && state.redis.generation[idOf] === null) {
    yield step(state, 'the loader reads the row', (draft) => {
      if (chunk.row) draft.loader = { row: chunk.row, idOf };
    });
  }
  if (state.flushesLeft > 0 && state.redis.generation.some((row) => row !== null)) {
    yield step(state, 'FAULT: Redis loses all data', (draft) => {
      draft.flushesLeft--;
      draft.redis = { generation: [null, null, null, null], overlay: null };
    });
  }
}

/** Restarts Postgres, which changes only the name of the history. */
function* restartSteps({ names }: HistoryRules, state: HistoryState): Generator<Step<HistoryState>> {
  if (state.restartsLeft === 0 || names !== 'start time') return;
  yield step(state, `FAULT: Postgres restarts: history ${state.historiesMade + 1}`, (draft) => {
    draft.restartsLeft--;
    draft.postgres.history = ++draft.historiesMade;
  });
}

function* lossSteps({ names }: HistoryRules, state: HistoryState): Generator<Step<HistoryState>> {
  const { saved, lossesLeft } = state;
  if (lossesLeft === 0) return;
  if (saved === null) {
    yield step(state, 'the standby stops receiving commits (or: a backup is taken)', (draft) => {
      draft.saved = draft.postgres;
    });
    return;
  }
  const history = names === 'neither' ? saved.history : state.historiesMade + 1;
  yield step(state, `FAULT: failover to the standby (or restore): history ${history}`, (draft) => {
    draft.lossesLeft--;
    draft.historiesMade = Math.max(draft.historiesMade, history);
    draft.postgres = { ...saved, chunk: { ...saved.chunk }, history };
    if (draft.lossesLeft === 0) draft.saved = null;
    // Lost events are no longer promised, because the service rejects a token of the lost history.
    for (const reader of draft.readers) reader.due &= saved.context;
  });
}
