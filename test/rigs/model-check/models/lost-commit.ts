/**
 * Commits that a crash loses. An event may commit asynchronously: it is visible before it is on disk. A live read
 * computes a prediction from it and stores its label; then the crash undoes the event, without another history. The
 * next event reaches the same version, so that the stored label looks current.
 *
 * Durability at commit prevents this. If an application lowers it nevertheless (`isEvaded`), readers detect the loss: a
 * label is above the version of a certificate that began after the label was found. Then the history rotates. Versions
 * alone cannot show a loss after the version was reached again, so with `isEvaded` no event comes between a lossy crash
 * and the first read that has looked at the stored label.
 *
 * One user. The rules are the product's own `judge` and `isAhead`.
 */
import { isAhead } from '@tandem/freshness/lost-past';
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { isFreshUnder } from './worth.ts';

export interface LostCommitRules {
  readonly durability: 'at commit' | 'as asked';
  readonly ahead: 'certified again' | 'served at once' | 'certified again, but not of flights';
  readonly lost: 'rotates the history' | 'refuses the label';
}

export interface LostCommitScope {
  readonly events: number;
  readonly crashes: number;
  readonly readers: number;
  /** Whether the application lowers the durability of a commit after our trigger has raised it. */
  readonly isEvaded: boolean;
}

/** The user's version, and the set of events that it consists of, as bits. */
interface Context {
  readonly version: number;
  readonly events: number;
}

interface Entry {
  readonly history: number;
  readonly label: number;
  readonly from: number;
}

interface Told {
  readonly history: number;
  readonly version: number;
}

interface Reader {
  is: 'away' | 'asking' | 'doubting' | 'losing' | 'answered';
  /** The events that were acknowledged before the read. */
  due: number;
  /** The events that were lost before the certificate. */
  never: number;
  told: Told | null;
  found: { entry: Entry | null; isFlight: boolean } | null;
}

export interface LostCommitState {
  history: number;
  visible: Context;
  onDisk: Context;
  sent: number;
  crashes: number;
  /** Whether a lost version may be stored that no read has looked at yet. */
  isUnseen: boolean;
  redis: Entry | null;
  flight: { entry: Entry; isKept: boolean } | null;
  readers: Reader[];
  broken: string | null;
}

const AWAY: Reader = { is: 'away', due: 0, never: 0, told: null, found: null };

export function lostCommit(rules: LostCommitRules, scope: LostCommitScope): Model<LostCommitState> {
  const empty: Context = { version: 0, events: 0 };
  return {
    name: 'lost commit',
    initial: {
      ...{ history: 1, visible: empty, onDisk: empty, sent: 0, crashes: 0, isUnseen: false },
      ...{ redis: null, flight: null, broken: null },
      readers: Array.from({ length: scope.readers }, () => ({ ...AWAY })),
    },
    *steps(state) {
      if (state.broken !== null) return;
      yield* databaseSteps(rules, scope, state);
      yield* flightSteps(state);
      for (const i of state.readers.keys()) yield* readerSteps(rules, state, i);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, readers: sorted(state.readers) }),
  };
}

type Steps = Generator<Step<LostCommitState>>;

function* databaseSteps({ durability }: LostCommitRules, scope: LostCommitScope, state: LostCommitState): Steps {
  const { visible, onDisk, sent } = state;
  if (sent < scope.events && !(scope.isEvaded && state.isUnseen)) {
    const next = { version: visible.version + 1, events: visible.events | (1 << sent) };
    yield step(state, `event ${sent + 1} commits durably: version ${next.version}`, (draft) => {
      Object.assign(draft, { sent: sent + 1, visible: next, onDisk: next });
    });
    if (durability === 'as asked' || scope.isEvaded) {
      yield step(state, `event ${sent + 1} commits asynchronously: version ${next.version}`, (draft) => {
        Object.assign(draft, { sent: sent + 1, visible: next });
      });
    }
  }
  if (visible.version === onDisk.version) return;
  yield step(state, 'the log is written to disk', (draft) => {
    draft.onDisk = visible;
  });
  if (state.crashes === scope.crashes) return;
  yield step(state, `Postgres crashes: version ${onDisk.version} again`, (draft) => {
    draft.crashes++;
    draft.visible = onDisk;
    draft.isUnseen = true;
  });
}

/** A flight outlives a crash: it has read its features, and stores its result in Redis. */
function* flightSteps(state: LostCommitState): Steps {
  const { flight, redis } = state;
  if (flight === null) return;
  yield step(state, 'the flight is over', (draft) => {
    draft.flight = null;
  });
  if (flight.isKept) return;
  yield step(state, `the live result is stored: label ${flight.entry.label}`, (draft) => {
    const isOlder = redis?.history === flight.entry.history && redis.label >= flight.entry.label;
    draft.redis = isOlder ? redis : flight.entry;
    draft.flight = { ...flight, isKept: true };
  });
}

type Change = (does: string, then: (reader: Reader, draft: LostCommitState) => void) => Step<LostCommitState>;

function* readerSteps(rules: LostCommitRules, state: LostCommitState, i: number): Steps {
  const reader = nth(state.readers, i);
  const change: Change = (does, then) =>
    step(state, `reader ${i + 1}: ${does}`, (draft) => then(nth(draft.readers, i), draft));
  const { history, visible, redis } = state;
  const certify = (mine: Reader, draft: LostCommitState) => {
    mine.told = { history, version: visible.version };
    mine.never = lostOf(draft);
  };
  if (reader.is === 'away') {
    yield change('arrives', (mine) => {
      Object.assign(mine, { is: 'asking', due: visible.events });
    });
  } else if (reader.is === 'asking') {
    if (reader.told === null) yield change(`is certified: version ${visible.version}`, certify);
    if (reader.found === null) {
      yield change(redis ? `finds label ${redis.label} in Redis` : 'finds nothing in Redis', (mine) => {
        mine.found = { entry: redis, isFlight: false };
      });
    }
    if (reader.told && reader.found) yield* decide(rules, state, reader, reader.told, change);
  } else if (reader.is === 'doubting') {
    yield change(`is certified again: version ${visible.version}`, (mine, draft) => {
      certify(mine, draft);
      const { entry } = reader.found ?? {};
      const isLost = entry?.history === history && isAheadOf({ history, version: visible.version }, entry);
      mine.is = isLost ? 'losing' : 'asking';
    });
  } else if (reader.is === 'losing') {
    const isCurrent = reader.told?.history === history;
    const rotates = rules.lost === 'rotates the history' && isCurrent;
    yield change(rotates ? 'begins another history' : 'ignores the label', (mine, draft) => {
      if (rotates) draft.history++;
      if (isCurrent) draft.isUnseen = false;
      Object.assign(mine, { is: 'asking', told: null, found: { entry: null, isFlight: false } });
    });
  }
}

/** A reader with a certificate and a candidate: it answers, doubts the candidate, or infers. */
function* decide(rules: LostCommitRules, state: LostCommitState, reader: Reader, told: Told, change: Change): Steps {
  const { entry, isFlight } = reader.found ?? { entry: null, isFlight: false };
  if (entry !== null && isFreshUnder(told, entry)) {
    const isProven = rules.ahead === 'served at once' || (isFlight && rules.ahead !== 'certified again');
    if (isAheadOf(told, entry) && !isProven) {
      yield change(`doubts label ${entry.label}, above version ${told.version}`, (mine) => {
        mine.is = 'doubting';
      });
    } else {
      yield change(`answers as fresh: label ${entry.label}`, (mine, draft) => answer(mine, entry, draft));
    }
    return;
  }
  const { flight, history, visible } = state;
  if (flight !== null && isFreshUnder(told, flight.entry)) {
    yield change(`follows a flight: label ${flight.entry.label}`, (mine) => {
      mine.found = { entry: flight.entry, isFlight: true };
    });
  }
  if (history !== told.history) {
    yield change('finds another history at its live statement, and gives up', (mine) => {
      Object.assign(mine, AWAY, { is: 'answered' });
    });
  } else if (flight === null && visible.version >= told.version) {
    yield change(`infers live: label ${visible.version}`, (mine, draft) => {
      const inferred = { history, label: visible.version, from: visible.events };
      draft.flight = { entry: inferred, isKept: false };
      answer(mine, inferred, draft);
    });
  }
}

function isAheadOf({ version }: Told, { label, history }: Entry): boolean {
  return isAhead({ contextVersion: label, history: String(history) }, version);
}

function lostOf({ sent, visible }: LostCommitState): number {
  return ((1 << sent) - 1) & ~visible.events;
}

/** Checks I1 and I4. A lost event is not due: its acknowledgement was wrong, and no later answer can correct it. */
function answer(mine: Reader, { from }: Entry, draft: LostCommitState): void {
  const due = mine.due & ~lostOf(draft);
  if ((from & due) !== due) draft.broken = 'I4: a fresh answer lacks an event that was acknowledged before the read';
  else if ((from & mine.never) !== 0) draft.broken = 'I1: a fresh answer knows an event that this history never had';
  Object.assign(mine, AWAY, { is: 'answered' });
}
