/**
 * An unannounced restore: the database returns to a copy under the same history, and assigns the same versions again.
 * Marks detect it. Each round of a process writes a mark to the database, and remembers the newest mark in the process
 * and in Redis. If a remembered mark is missing, another history begins.
 *
 * One user, whose stored answer in Redis records the events (bits) from which it was computed. The model has these
 * steps, in every order:
 *
 * - Events commit. The connected process stores an answer, or answers with the stored one as fresh.
 * - The process has rounds: recall (which may fail), write a mark and look, remember. Other processes have rounds that
 *   the process does not see.
 * - The process publishes a run, and the run's row may be loaded into Redis afterwards. A run that is not published when
 *   another history begins gets another id.
 * - The process ends and starts again, without a remembered mark.
 * - The database is saved, and later restored. The connection then ends, and the process looks through the next one first.
 * - Redis loses all data.
 *
 * The database is restored only if Redis remembers a mark that the copy lacks, because a smaller loss cannot be
 * detected.
 */
import { type Model, type Step, step } from '../checker/model.ts';

export interface MarkRules {
  /** The meaning of a failed recall: unknown, so that no mark is kept, or (H1) no remembered mark. */
  readonly recall: 'no recall, no keep' | 'counts as empty';
  readonly keeps: 'onto what was recalled' | 'whatever is there';
  readonly reads: 'once sure' | 'at once';
  /** Which marks a new connection looks for. */
  readonly connects: 'for every mark' | "for the process' own";
  /** When a run is published. Its row in Redis is identified only by the run's id. */
  readonly publishes: 'once the past is proven' | 'at once';
}

export interface MarkScope {
  readonly events: number;
  readonly marks: number;
  /** The number of rounds of other processes, each of one step. */
  readonly others: number;
  readonly restarts: number;
  readonly flushes: number;
  readonly runs: number;
}

interface Mark {
  readonly bit: number;
  readonly history: number;
}

/** The events from which an answer was computed, and its label. */
interface Row {
  readonly label: number;
  readonly from: number;
}

interface Database {
  history: number;
  version: number;
  context: number;
  marks: number;
  run: { readonly id: number; readonly row: Row | null } | null;
}

interface Recalled {
  readonly mark: Mark | null;
  readonly hasFailed: boolean;
  /** Whether a connection that could not recall was opened after this recall. */
  readonly isBeforeDoubt: boolean;
}

interface Process {
  known: Mark | null;
  isSure: boolean;
  connection: 'none' | 'new' | 'looked through';
  /** The recalls of the connection that is being opened, and of the round. */
  connecting: Recalled | null;
  round: Recalled | null;
  /** The mark that the round remembers next. */
  found: Mark | null;
  /** The recall of the publishing transaction. */
  publishing: Recalled | null;
  /** Whether the process has published after a recall, and the database has not restarted since. */
  isProven: boolean;
}

export interface MarkState {
  database: Database;
  saved: Database | null;
  isRestored: boolean;
  eventsLeft: number;
  marksLeft: number;
  othersLeft: number;
  restartsLeft: number;
  flushesLeft: number;
  redis: { mark: Mark | null; answer: (Row & { history: number }) | null; row: (Row & { id: number }) | null };
  process: Process;
  broken: string | null;
}

export function marks(rules: MarkRules, scope: MarkScope): Model<MarkState> {
  return {
    name: 'marks',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eventSteps(state);
      yield* connectionSteps(rules, state);
      yield* roundSteps(rules, state);
      yield* answerSteps(rules, state);
      yield* runSteps(rules, state);
      yield* otherSteps(state);
      yield* faultSteps(state);
    },
    violation: (state) => state.broken,
  };
}

function initialState({ events, marks: marksLeft, others, restarts, flushes, runs }: MarkScope): MarkState {
  return {
    database: { history: 1, version: 0, context: 0, marks: 0, run: runs > 0 ? { id: 1, row: null } : null },
    saved: null,
    isRestored: false,
    eventsLeft: events,
    marksLeft,
    othersLeft: others,
    restartsLeft: restarts,
    flushesLeft: flushes,
    redis: { mark: null, answer: null, row: null },
    process: newProcess(),
    broken: null,
  };
}

function newProcess(): Process {
  const idle = { connection: 'none' as const, connecting: null, round: null, found: null };
  return { known: null, isSure: false, publishing: null, isProven: false, ...idle };
}

function* eventSteps(state: MarkState): Generator<Step<MarkState>> {
  if (state.eventsLeft === 0) return;
  yield step(state, `an event commits: version ${state.database.version + 1}`, (draft) => {
    draft.database.context |= 1 << --draft.eventsLeft;
    draft.database.version++;
  });
}

function changing(state: MarkState) {
  return (does: string, change: (mine: Process, draft: MarkState) => void) =>
    step(state, `the process ${does}`, (draft) => change(draft.process, draft));
}

function* recallSteps(
  rules: MarkRules,
  state: MarkState,
  why: 'connecting' | 'round' | 'publishing',
): Generator<Step<MarkState>> {
  const change = changing(state);
  const { mark } = state.redis;
  yield change(`recalls the mark of Redis (${why})`, (mine) => {
    mine[why] = { mark, hasFailed: false, isBeforeDoubt: false };
  });
  yield change(`cannot recall the mark of Redis (${why})`, (mine) => {
    const hasFailed = rules.recall === 'no recall, no keep';
    if (hasFailed && why === 'connecting') {
      // A round that recalled before this doubt cannot end it.
      if (mine.round) mine.round = { ...mine.round, isBeforeDoubt: true };
      mine.isSure = false;
    }
    mine[why] = { mark: null, hasFailed, isBeforeDoubt: false };
  });
}

function* connectionSteps(rules: MarkRules, state: MarkState): Generator<Step<MarkState>> {
  const { connection, connecting } = state.process;
  const change = changing(state);
  if (connection === 'none') {
    yield change('opens a connection', (mine) => {
      mine.connection = 'new';
    });
  } else if (connection === 'new' && connecting === null) {
    yield* recallSteps(rules, state, 'connecting');
  } else if (connection === 'new' && connecting !== null) {
    yield change('looks through its new connection', (mine, draft) => {
      look(draft, mine, rules.connects === 'for every mark' ? connecting : { ...connecting, mark: null });
      mine.connection = 'looked through';
      mine.connecting = null;
    });
  }
}

function* roundSteps(rules: MarkRules, state: MarkState): Generator<Step<MarkState>> {
  const { round, found } = state.process;
  const change = changing(state);
  if (found !== null) {
    yield change('stores the found mark in Redis', (mine, draft) => {
      const isSame = JSON.stringify(draft.redis.mark) === JSON.stringify(round?.mark);
      if (isSame || rules.keeps === 'whatever is there' || rules.recall === 'counts as empty') draft.redis.mark = found;
      Object.assign(mine, { round: null, found: null });
    });
  } else if (round === null) yield* recallSteps(rules, state, 'round');
  else {
    yield change('leaves a mark, and looks', (mine, draft) => {
      if (draft.marksLeft > 0) draft.database.marks |= 1 << --draft.marksLeft;
      look(draft, mine, round);
      if (round.hasFailed || mine.known === null) mine.round = null;
      else mine.found = mine.known;
    });
  }
}

/** Looks for the known and the recalled mark in one statement. Marks are written from the highest bit down. */
function look({ database }: MarkState, mine: Process, { mark, hasFailed, isBeforeDoubt }: Recalled): void {
  const isLost = [mine.known, mark].some(
    (one) => one !== null && one.history === database.history && (database.marks & one.bit) === 0,
  );
  if (isLost) {
    database.history = 2;
    // The run begins again, under an unused id.
    if (database.run?.row === null) database.run = { id: 2, row: null };
  }
  mine.known = database.marks === 0 ? null : { bit: database.marks & -database.marks, history: database.history };
  if (!hasFailed && !isBeforeDoubt) mine.isSure = true;
}

function* answerSteps(rules: MarkRules, state: MarkState): Generator<Step<MarkState>> {
  const { connection, isSure } = state.process;
  if (connection !== 'looked through') return;
  const { history, version, context } = state.database;
  const { answer } = state.redis;
  const change = changing(state);
  if (answer === null || answer.history !== history || answer.label < version) {
    yield change(`stores an answer of version ${version}`, (_, draft) => {
      draft.redis.answer = { history, label: version, from: context };
    });
  } else if (isSure || rules.reads === 'at once') {
    yield change(`answers with the stored answer of version ${answer.label}, as fresh`, (_, draft) => {
      if ((context & ~answer.from) !== 0) draft.broken = 'I4: an answer of a lost history is called fresh';
    });
  }
}

/** A publication is one transaction: it recalls, looks, and writes through one connection, which a restore ends. */
function* runSteps(rules: MarkRules, state: MarkState): Generator<Step<MarkState>> {
  const { run, context, version } = state.database;
  if (run === null) return;
  const { publishing, connection, isSure } = state.process;
  const change = changing(state);
  if (run.row === null && publishing === null) {
    if (rules.publishes === 'at once') yield change('publishes the run', (_, draft) => publish(draft));
    else yield* recallSteps(rules, state, 'publishing');
  } else if (run.row === null && publishing !== null) {
    yield change('looks, and publishes the run if the past is proven', (mine, draft) => {
      mine.publishing = null;
      const before = draft.database.history;
      const isSureStill = mine.isSure;
      look(draft, mine, publishing);
      mine.isSure = isSureStill;
      if (draft.database.history !== before) return;
      if (!publishing.hasFailed) mine.isProven = true;
      if (mine.isProven) publish(draft);
    });
  } else if (run.row !== null) {
    const { id, row } = run;
    yield change("loads the run's row into Redis", (_, draft) => {
      draft.redis.row = { id, ...row };
    });
    const stored = state.redis.row;
    if (stored?.id !== id || stored.label < version || connection !== 'looked through') return;
    if (!isSure && rules.reads !== 'at once') return;
    yield change("answers with the run's row in Redis, as fresh", (_, draft) => {
      if ((context & ~stored.from) !== 0) draft.broken = 'I4: a row of a lost history is called fresh';
    });
  }
}

/** Publishes the run. It reads and writes its row in one step; history.ts has them as separate steps. */
function publish({ database }: MarkState): void {
  const { run, version, context } = database;
  if (run) database.run = { ...run, row: { label: version, from: context } };
}

/** Steps of another process, which has just started: it recalls at once, and has no mark of its own. */
function* otherSteps(state: MarkState): Generator<Step<MarkState>> {
  if (state.othersLeft === 0) return;
  yield step(state, 'another process recalls, leaves a mark and looks, and remembers it in Redis', (draft) => {
    draft.othersLeft--;
    if (draft.marksLeft > 0) draft.database.marks |= 1 << --draft.marksLeft;
    const other = newProcess();
    look(draft, other, { mark: draft.redis.mark, hasFailed: false, isBeforeDoubt: false });
    if (other.known) draft.redis.mark = other.known;
  });
}

function* faultSteps(state: MarkState): Generator<Step<MarkState>> {
  const { saved, redis, isRestored } = state;
  if (saved === null) {
    yield step(state, 'a backup is taken', (draft) => {
      draft.saved = draft.database;
    });
  } else if (!isRestored && redis.mark !== null && (saved.marks & redis.mark.bit) === 0) {
    yield step(state, 'FAULT: the backup is restored, without an announcement', (draft) => {
      draft.isRestored = true;
      draft.database = { ...saved };
      Object.assign(draft.process, { connection: 'none', connecting: null, publishing: null, isProven: false });
    });
  }
  if (state.flushesLeft > 0 && (redis.mark !== null || redis.answer !== null || redis.row !== null)) {
    yield step(state, 'FAULT: Redis loses all data', (draft) => {
      draft.flushesLeft--;
      draft.redis = { mark: null, answer: null, row: null };
    });
  }
  if (state.restartsLeft === 0) return;
  yield step(state, 'FAULT: the process ends, and starts again', (draft) => {
    draft.restartsLeft--;
    draft.process = newProcess();
  });
}
