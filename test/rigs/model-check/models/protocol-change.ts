/**
 * A migration changes the meaning of labels, and raises the number of the protocol in the same transaction. A reader
 * and a worker of the previous release know only the first number. The reader answers by certificates. The worker
 * claims a chunk, commits labels, and loads committed rows into Redis. A reader of the next release reads these rows.
 *
 * The change and the number commit together, so a statement sees both or neither. The statement that decides must read
 * the number: the certificate itself, or the transaction that writes. A number read earlier may be outdated. A
 * transaction that has read the number may commit later, so the migration takes a lock that waits for such
 * transactions. No lock waits for a load into Redis. So a late load must use keys that the next release does not read.
 */
import { type Model, type Step, step } from '../checker/model.ts';

export interface ProtocolRules {
  readonly reads: 'with each certificate' | 'when it connects';
  readonly writes: 'in its transaction' | 'when it claims';
  readonly raises: 'once writers have ended' | 'beside writers';
  readonly keys: 'name the number of the release' | 'name the number at the load' | 'are the same';
}

export interface ProtocolState {
  /** The number in the database, which is the current meaning of labels. */
  number: 1 | 2;
  /** The number that the reader saw when it connected, or null if it is not connected. */
  connected: 1 | 2 | null;
  /** The number under which the worker claimed its chunk, or null without a chunk. */
  claimed: 1 | 2 | null;
  /** Whether the worker's transaction has found the number known, and is not committed yet. */
  checked: boolean;
  /** The number under which the worker read rows for Redis, or null without rows. */
  loading: 1 | 2 | null;
  /** The number by which the rows in Redis were read, by the number in their keys (0 for keys that name none); 0: no rows. */
  stored: readonly (0 | 1 | 2)[];
  reads: number;
  claims: number;
  broken: string | null;
}

/** The number that both programs know. */
const KNOWN = 1;

const NOTHING_YET = { loading: null, stored: [0, 0, 0], reads: 0, claims: 0, broken: null } as const;

export function protocolChange(rules: ProtocolRules, most: number): Model<ProtocolState> {
  return {
    name: 'protocol change',
    initial: { number: 1, connected: null, claimed: null, checked: false, ...NOTHING_YET },
    *steps(state) {
      if (state.broken !== null) return;
      if (state.number === 1 && !(rules.raises === 'once writers have ended' && state.checked)) {
        yield step(state, 'a migration changes the meaning of labels, and the number', (draft) => {
          draft.number = 2;
        });
      }
      yield* readerSteps(rules, state, most);
      yield* workerSteps(rules, state, most);
      yield* loadSteps(rules, state, most);
    },
    violation: (state) => state.broken,
  };
}

function* readerSteps({ reads }: ProtocolRules, state: ProtocolState, most: number): Generator<Step<ProtocolState>> {
  const { number, connected } = state;
  yield step(state, connected === null ? 'the reader connects' : 'the reader loses its connection', (draft) => {
    draft.connected = connected === null ? number : null;
  });
  if (connected === null || state.reads >= most) return;
  const isKnown = (reads === 'when it connects' ? connected : number) === KNOWN;
  yield step(state, isKnown ? 'a certificate calls an answer fresh' : 'a read is refused', (draft) => {
    draft.reads++;
    if (isKnown && number !== KNOWN) draft.broken = `I4: an answer is called fresh by the earlier meaning of labels`;
  });
}

function* workerSteps({ writes }: ProtocolRules, state: ProtocolState, most: number): Generator<Step<ProtocolState>> {
  const { number, claimed, checked } = state;
  if (claimed === null) {
    if (number !== KNOWN || state.claims >= most) return;
    yield step(state, 'the worker claims a chunk', (draft) => {
      draft.claims++;
      draft.claimed = number;
    });
    return;
  }
  if (!checked) {
    const isKnown = (writes === 'when it claims' ? claimed : number) === KNOWN;
    yield step(state, isKnown ? 'the commit finds the number known' : 'the commit is refused', (draft) => {
      if (isKnown) draft.checked = true;
      else draft.claimed = null;
    });
    return;
  }
  yield step(state, 'the worker commits its labels', (draft) => {
    draft.claimed = null;
    draft.checked = false;
    if (number !== KNOWN) draft.broken = 'I1: a label with the earlier meaning was committed';
  });
}

/**
 * Steps of workers and readers of both releases. Each knows its own number, and starts nothing under another number.
 */
function* loadSteps({ keys }: ProtocolRules, state: ProtocolState, most: number): Generator<Step<ProtocolState>> {
  const { number, loading, stored } = state;
  const named = (known: 1 | 2) => (keys === 'are the same' ? 0 : known);
  if (loading === null && state.claims < most) {
    yield step(state, `a worker of release ${number} reads committed rows for Redis`, (draft) => {
      draft.claims++;
      draft.loading = number;
    });
  }
  if (loading !== null) {
    const key = named(keys === 'name the number at the load' ? number : loading);
    yield step(state, `the worker of release ${loading} loads them into Redis`, (draft) => {
      draft.loading = null;
      draft.stored = stored.map((before, at) => (at === key ? loading : before));
    });
  }
  const found = stored[named(number)];
  if (!found || state.reads >= most) return;
  yield step(state, `a reader of release ${number} takes a row from Redis`, (draft) => {
    draft.reads++;
    if (found !== number) draft.broken = 'I4: an answer is called fresh by the earlier meaning of labels';
  });
}
