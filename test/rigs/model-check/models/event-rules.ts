/**
 * Event rules that change while event transactions are open. `touched` is the version of a user's last event that concerns the
 * predictor, by the rules that the event's transaction read. A transaction that was open at a change may commit by the old rules.
 *
 * If the predictor is served, the transaction that widens its rules sets a flag. While the flag is set, every reader uses the
 * user's version in place of `touched`. A worker waits for the transactions that were open after the change. Then it rewrites
 * the contexts one by one in the order of their keys, and clears the flag last. A further change restarts the rewrite.
 * A new predictor is not served until those transactions have ended; its contexts need no rewrite.
 *
 * One predictor, a few users. Each event has a kind. Rules are a number, and concern all kinds up to it. A fresh answer must
 * contain each event that was committed before its reader arrived and concerns the predictor by the rules of that moment.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';
import { isFreshUnder } from './worth.ts';

export interface EventRuleRules {
  readonly reader: 'takes the version while the flag is set' | 'ignores the flag';
  /** When the contexts are rewritten. */
  readonly rewrites: 'once older transactions have ended' | 'at once';
  readonly clears: 'once all are rewritten' | 'while some are left';
  /** The effect of another change on a rewrite in progress. */
  readonly change: 'starts it again' | 'leaves its place';
  /** Which change is settled when the awaited transactions have ended. */
  readonly settles: 'the change that it waited for' | 'whatever is there';
  readonly serves: 'once older transactions have ended' | 'at once';
}

export interface EventRuleScope {
  readonly users: number;
  /** The kinds of the events. The predictor's first rules concern kind 1. */
  readonly events: readonly number[];
  readonly changes: number;
  readonly isNew: boolean;
}

interface User {
  version: number;
  touched: number;
  /** The version of the last event of each kind, which no process reads. */
  last: number[];
  /** The label of the stored prediction, or null without a prediction. */
  label: number | null;
}

interface EventTransaction {
  kind: number;
  /** The user of the event, or -1 if its transaction has not begun. */
  user: number;
  rules: number;
  is: 'to come' | 'open' | 'over';
}

interface EventRuleState {
  rules: number;
  /** The number of the last change, which distinguishes changes. */
  number: number;
  isServed: boolean;
  isFlagged: boolean;
  isSettled: boolean;
  /** The number of contexts that are rewritten. */
  place: number;
  users: User[];
  events: EventTransaction[];
  /** The change that the worker waits for, and the transactions that were open after it. */
  waiting: { number: number; events: number[] } | null;
  reader: { is: 'away' | 'asking' | 'told'; user: number; due: number; version: number; touched: number };
  left: number;
  broken: string | null;
}

type Steps = Generator<Step<EventRuleState>>;

export function eventRules(rules: EventRuleRules, scope: EventRuleScope): Model<EventRuleState> {
  return {
    name: 'event rules',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      yield* eventSteps(state);
      yield* changeSteps(rules, state);
      yield* workerSteps(rules, state);
      if (!state.isServed) return;
      for (const u of state.users.keys()) yield* userSteps(rules, state, u);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({
      ...state,
      waiting: state.waiting && { ...state.waiting, events: sorted(state.waiting.events) },
    }),
  };
}

function initialState({ users, events, changes, isNew }: EventRuleScope): EventRuleState {
  const kinds = Math.max(...events) + 1;
  return {
    ...{ rules: isNew ? 0 : 1, number: 0, isServed: !isNew, isFlagged: false, isSettled: true, place: 0 },
    users: Array.from({ length: users }, () => ({ version: 0, touched: 0, last: Array(kinds).fill(0), label: null })),
    events: events.map((kind) => ({ kind, user: -1, rules: 0, is: 'to come' })),
    waiting: null,
    reader: newReader(),
    left: changes,
    broken: null,
  };
}

function newReader(): EventRuleState['reader'] {
  return { is: 'away', user: 0, due: 0, version: 0, touched: 0 };
}

/**
 * Returns whether a transaction holds the user's row. A transaction holds it from the moment when it reads the rules.
 */
function isHeld(state: EventRuleState, user: number): boolean {
  return state.events.some((one) => one.is === 'open' && one.user === user);
}

function* eventSteps(state: EventRuleState): Steps {
  for (const [i, event] of state.events.entries()) {
    for (const u of event.is === 'to come' ? state.users.keys() : []) {
      if (isHeld(state, u)) continue;
      yield step(state, `event ${i + 1} of user ${u + 1} is applied by rules ${state.rules}`, (draft) => {
        Object.assign(nth(draft.events, i), { is: 'open', user: u, rules: state.rules });
      });
    }
    if (event.is !== 'open') continue;
    yield step(state, `event ${i + 1} commits`, (draft) => {
      const user = nth(draft.users, event.user);
      user.version++;
      user.last[event.kind] = user.version;
      if (event.kind <= event.rules) user.touched = user.version;
      nth(draft.events, i).is = 'over';
    });
  }
}

function* changeSteps(rules: EventRuleRules, state: EventRuleState): Steps {
  if (state.left > 0) {
    yield step(state, `CHANGE: rules ${state.rules + 1}`, (draft) => {
      draft.left--;
      draft.rules++;
      draft.number++;
      draft.isSettled = false;
      draft.isFlagged = state.isServed;
      if (rules.change === 'starts it again') draft.place = 0;
    });
  }
  if (!state.isServed && state.rules > 0 && (state.isSettled || rules.serves === 'at once')) {
    yield step(state, 'the new predictor is served', (draft) => {
      draft.isServed = true;
    });
  }
}

function* workerSteps(rules: EventRuleRules, state: EventRuleState): Steps {
  const { waiting, number, place, users } = state;
  if (!state.isSettled) {
    yield step(state, 'the worker lists the open transactions', (draft) => {
      const open = [...state.events.keys()].filter((i) => nth(state.events, i).is === 'open');
      draft.waiting = { number, events: open };
    });
  }
  if (waiting?.events.every((i) => nth(state.events, i).is === 'over')) {
    yield step(state, 'the worker notes that older transactions have ended', (draft) => {
      draft.waiting = null;
      if (waiting.number === number || rules.settles === 'whatever is there') draft.isSettled = true;
    });
  }
  if (!state.isFlagged || !(state.isSettled || rules.rewrites === 'at once')) return;
  // A row that an open transaction inserts is not visible, so the rewrite does not wait for it.
  if (place < users.length && (!isHeld(state, place) || nth(users, place).version === 0)) {
    yield step(state, `the worker rewrites user ${place + 1}`, (draft) => {
      const user = nth(draft.users, place);
      user.touched = user.version;
      draft.place++;
    });
  }
  if (place === users.length || rules.clears === 'while some are left') {
    yield step(state, 'the worker clears the flag', (draft) => {
      draft.isFlagged = false;
    });
  }
}

function* userSteps(rules: EventRuleRules, state: EventRuleState, u: number): Steps {
  const { reader } = state;
  const user = nth(state.users, u);
  if (user.label !== user.version) {
    yield step(state, `user ${u + 1} is predicted and stored`, (draft) => {
      nth(draft.users, u).label = user.version;
    });
  }
  if (reader.is === 'away') {
    yield step(state, `the reader of user ${u + 1} arrives`, (draft) => {
      const due = Math.max(...user.last.slice(0, state.rules + 1));
      draft.reader = { ...reader, is: 'asking', user: u, due };
    });
  }
  if (reader.user !== u) return;
  if (reader.is === 'asking') {
    yield step(state, 'the reader is certified', (draft) => {
      const isBelieved = !state.isFlagged || rules.reader === 'ignores the flag';
      const touched = isBelieved ? user.touched : user.version;
      draft.reader = { ...reader, is: 'told', version: user.version, touched };
    });
  }
  const { version, touched, due } = reader;
  if (reader.is !== 'told' || user.label === null || !isFreshUnder({ version, touched }, { label: user.label })) return;
  const { label } = user;
  yield step(state, 'the reader answers as fresh', (draft) => {
    draft.reader = newReader();
    if (label < due) draft.broken = 'I4: a fresh answer from before an event that concerns the predictor by its rules';
  });
}
