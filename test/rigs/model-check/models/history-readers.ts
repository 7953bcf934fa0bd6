/**
 * A read while histories change. A candidate may come from any history, and the certificate comes from one history. The
 * rule is the product's own `judge`. In a control the rule does not compare histories.
 */
import { nth, type Step, step } from '../checker/model.ts';
import type { HistoryReader, HistoryRules, HistoryState, Row } from './history-state.ts';
import { isFreshUnder } from './worth.ts';

export function newHistoryReader(): HistoryReader {
  return { is: 'away', due: 0, told: null, early: null, never: 0 };
}

type Layer = 'generation' | 'overlay';

export function* historyReaderSteps(
  rules: HistoryRules,
  state: HistoryState,
  i: number,
): Generator<Step<HistoryState>> {
  const reader = nth(state.readers, i);
  const { postgres, memory, redis, flight } = state;
  const change = (does: string, then: (reader: HistoryReader, draft: HistoryState) => void) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  if (reader.is === 'away') {
    yield change('arrives', (mine, draft) => {
      mine.is = 'asking';
      mine.due = draft.postgres.context;
    });
  }
  if (reader.is !== 'asking') return;
  const { told } = reader;
  if (told === null) {
    const isWorthwhile = redis.overlay !== null || redis.generation.some((row) => row !== null);
    if (reader.early === null && isWorthwhile) {
      yield change('finds the data in Redis before its certificate', (mine, draft) => {
        mine.early = draft.redis;
      });
    }
    yield change(`is certified: history ${postgres.history}, version ${postgres.version}`, (mine, draft) => {
      const { history, version, isPublished, idOf } = draft.postgres;
      mine.told = { history, version, isPublished, idOf };
      mine.never = draft.everCommitted & ~draft.postgres.context;
    });
    return;
  }
  function* offer(where: string, row: Row | null, layer: Layer): Generator<Step<HistoryState>> {
    if (row === null || told === null || !isFresh(rules, told, row, layer)) return;
    yield change(`answers as fresh, from ${where}: label ${row.label}, of history ${row.history}`, (mine, draft) => {
      check(mine, row, draft);
      if (layer === 'generation') draft.memory = { row, idOf: told.idOf };
      Object.assign(mine, newHistoryReader(), { is: 'answered' });
    });
  }
  // Data that the reader finds after its certificate may as well be found at the moment of the answer.
  if (told.isPublished) {
    const id = told.idOf;
    if (memory?.idOf === id) yield* offer('memory', memory.row, 'generation');
    for (const { generation } of [redis, ...(reader.early ? [reader.early] : [])]) {
      yield* offer("Redis' generation", generation[id] ?? null, 'generation');
    }
    if (postgres.isPublished) yield* offer("Postgres' row", postgres.chunk.row, 'generation');
  }
  for (const { overlay } of [redis, ...(reader.early ? [reader.early] : [])]) {
    yield* offer("Redis' overlay", overlay, 'overlay');
  }
  if (flight) yield* offer('a flight that it followed', flight.row, 'overlay');
  yield* liveSteps(rules, state, reader, change);
}

type Change = (does: string, then: (reader: HistoryReader, draft: HistoryState) => void) => Step<HistoryState>;

function isFresh(
  { compares }: HistoryRules,
  told: NonNullable<HistoryReader['told']>,
  row: Row,
  layer: Layer,
): boolean {
  const { version, history } = compares === 'version' ? { version: told.version, history: row.history } : told;
  return isFreshUnder(
    { version, history, generation: told.isPublished ? 1 : null },
    { label: row.label, history: row.history, generation: layer === 'generation' ? 1 : null },
  );
}

/** The live statement (V1) also reads the history: if it is not the certificate's, the flight ends. */
function* liveSteps(
  rules: HistoryRules,
  state: HistoryState,
  { told }: HistoryReader,
  change: Change,
): Generator<Step<HistoryState>> {
  const { postgres, flight } = state;
  const isSame = rules.compares === 'version' || told?.history === postgres.history;
  if (!isSame) {
    yield change('finds another history at its live statement, and gives up', (mine) => {
      Object.assign(mine, newHistoryReader(), { is: 'answered' });
    });
  } else if (flight === null) {
    yield change(`infers live: label ${postgres.version} of history ${postgres.history}`, (mine, draft) => {
      const row = { history: postgres.history, label: postgres.version, from: postgres.context };
      check(mine, row, draft);
      draft.flight = { row, isKept: false };
      Object.assign(mine, newHistoryReader(), { is: 'answered' });
    });
  }
  if (flight && !flight.isKept) {
    yield step(state, 'the live result is put into Redis', (draft) => {
      const stored = draft.redis.overlay;
      const isOlder = stored?.history === flight.row.history && stored.label >= flight.row.label;
      if (!isOlder) draft.redis.overlay = flight.row;
      if (draft.flight) draft.flight.isKept = true;
    });
  }
  if (flight?.isKept) {
    yield step(state, 'the flight is over', (draft) => {
      draft.flight = null;
    });
  }
}

/** Checks I1 and I4 across histories. */
function check({ due, never }: HistoryReader, { from }: Row, draft: HistoryState): void {
  if ((from & due) !== due) draft.broken = 'I4: a fresh answer lacks an event that was acknowledged before the read';
  else if ((from & never) !== 0) draft.broken = 'I1: a fresh answer knows an event that this history never had';
}
