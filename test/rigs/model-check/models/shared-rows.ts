/**
 * Users who share rows. A parent row belongs to one of two users, and its child rows belong to the same user, which the key
 * of the child table looks up. A transaction that moves the parent raises both users. A transaction that adds a child raises the
 * user that its key gives. The transactions take no locks on the rows of each other.
 *
 * Versions are raised at commit. The commit of a child looks up its user, locks that user's row, and looks up again with a fresh
 * snapshot. If the key gives another user by then, it releases the lock and starts again. A move locks the former user too, so
 * it waits for the child, or the second look-up sees it. A bulk move locks no user and raises the source version: an advisory
 * lock excludes it from look-ups. A change of an erased user raises nothing, but holds the user's row, so that a readmission waits.
 *
 * The steps come in every order, and each user is predicted, stored and read at any time. A prediction records the number of
 * committed changes in its features (`from`). A fresh answer must contain each change that was committed before its reader
 * arrived. A state from which the transactions cannot all end is a violation too: it has a deadlock.
 */
import { type Model, nth, type Step, step } from '../checker/model.ts';
import type { Child, SharedRowRules, SharedRowScope, SharedRowState, User } from './shared-rows-state.ts';
import { isFreshUnder } from './worth.ts';

type Steps = Generator<Step<SharedRowState>>;

export function sharedRows(rules: SharedRowRules, scope: SharedRowScope): Model<SharedRowState> {
  return {
    name: 'shared rows',
    initial: initialState(scope),
    *steps(state) {
      if (state.broken !== null) return;
      for (const i of state.children.keys()) yield* childSteps(rules, state, i);
      yield* moveSteps(rules, state);
      for (const u of state.users.keys()) yield* userSteps(state, u);
    },
    violation: (state) => state.broken,
    isSettled: ({ children, mover, left }) =>
      children.every(({ is }) => is === 'over') && mover.is === 'idle' && left.moves + left.bulkMoves === 0,
  };
}

function initialState({ children, moves, bulkMoves, isErased }: SharedRowScope): SharedRowState {
  const user: User = { version: 0, deleted: 0, isErased: false, changes: 0, stored: null };
  const erased = { ...user, version: 1, deleted: 1, isErased: true };
  return {
    ...{ owner: 0, source: 0, users: [isErased ? erased : { ...user }, user] },
    children: Array.from({ length: children }, () => ({ is: 'to come', user: 0, holds: false, raises: false })),
    mover: { is: 'idle', next: 0, holds: [] },
    reader: newReader(),
    left: { moves, bulkMoves },
    broken: null,
  };
}

function newReader(): SharedRowState['reader'] {
  return { is: 'away', user: 0, due: 0, version: 0, deleted: 0, floor: 0 };
}

/** Returns whether a transaction holds the context of the user. */
function isHeld({ children, mover }: SharedRowState, user: number): boolean {
  return mover.holds.includes(user) || children.some((one) => one.holds && one.user === user);
}

const isLookingUp = ({ is }: Child) => is === 'looked' || is === 'locked' || is === 'raised';

function* childSteps(rules: SharedRowRules, state: SharedRowState, i: number): Steps {
  const { owner, mover } = state;
  const { is, user } = nth(state.children, i);
  const change = (does: string, then: (mine: Child, draft: SharedRowState) => void) =>
    step(state, `child ${i + 1} ${does}`, (draft) => then(nth(draft.children, i), draft));
  if (is === 'to come') {
    yield change(`is added; its parent belongs to user ${owner + 1}`, (mine) => {
      Object.assign(mine, { is: rules.looksUp === 'in the statement' ? 'looked' : 'open', user: owner });
    });
  }
  if (is === 'open' && mover.is !== 'excludes') {
    yield change(`is committed: looks up user ${owner + 1}`, (mine) => {
      Object.assign(mine, { is: 'looked', user: owner });
    });
  }
  const { isErased } = nth(state.users, user);
  const isSkipped = isErased && rules.erased === 'skipped';
  if (is === 'looked' && (isSkipped || !isHeld(state, user))) {
    yield change(isErased ? `finds user ${user + 1} erased` : `locks user ${user + 1}`, (mine) => {
      const next = rules.looksUp === 'again under the lock' ? 'locked' : 'raised';
      Object.assign(mine, { is: next, holds: !isSkipped, raises: !isErased });
    });
  }
  if (is === 'locked') {
    yield change(`looks up user ${owner + 1} again`, (mine) => {
      if (owner === user) mine.is = 'raised';
      else Object.assign(mine, { is: 'looked', user: owner, holds: false, raises: false });
    });
  }
  if (is === 'raised') {
    yield change('is visible', (mine, draft) => {
      if (mine.raises) nth(draft.users, user).version++;
      nth(draft.users, owner).changes++;
      Object.assign(mine, { is: 'over', user: 0, holds: false, raises: false });
    });
  }
}

function* moveSteps(rules: SharedRowRules, state: SharedRowState): Steps {
  const { mover, left, users } = state;
  const to = 1 - state.owner;
  const change = (does: string, then: (draft: SharedRowState) => void) => step(state, `the move ${does}`, then);
  for (const kind of ['moves', 'bulkMoves'] as const) {
    if (mover.is !== 'idle' || left[kind] === 0) continue;
    yield change(`updates the parent to user ${to + 1}${kind === 'bulkMoves' ? ', in bulk' : ''}`, (draft) => {
      draft.left[kind]--;
      draft.mover.is = kind === 'moves' ? 'moved' : 'bulk';
    });
  }
  const isSkipped = nth(users, Math.min(mover.next, 1)).isErased && rules.erased === 'skipped';
  if (mover.is === 'moved' && mover.next < 2 && (isSkipped || !isHeld(state, mover.next))) {
    yield change(`locks user ${mover.next + 1}`, (draft) => {
      draft.mover.next++;
      if (!isSkipped) draft.mover.holds.push(mover.next);
    });
  }
  if (mover.is === 'bulk' && (rules.bulk === 'locks nothing' || !state.children.some(isLookingUp))) {
    yield change('begins its commit', (draft) => {
      draft.mover.is = 'excludes';
    });
  }
  if (mover.is === 'excludes' || mover.next === 2) {
    yield change('is visible', (draft) => {
      if (mover.is === 'excludes') draft.source++;
      for (const user of draft.users) {
        if (mover.is === 'moved' && !user.isErased) user.version++;
        user.changes++;
      }
      Object.assign(draft, { owner: to, mover: { is: 'idle', next: 0, holds: [] } });
    });
  }
}

function* userSteps(state: SharedRowState, u: number): Steps {
  const { reader, source: floor } = state;
  const { version, deleted, isErased, changes: from, stored } = nth(state.users, u);
  if (isErased && !isHeld(state, u)) {
    yield step(state, `user ${u + 1} is readmitted`, (draft) => {
      Object.assign(nth(draft.users, u), { version: version + 1, isErased: false });
    });
  }
  if (!isErased && (stored?.label !== version || stored.floor !== floor || stored.from !== from)) {
    yield step(state, `user ${u + 1} is predicted and stored`, (draft) => {
      nth(draft.users, u).stored = { label: version, floor, from };
    });
  }
  if (reader.is === 'away' && stored !== null) {
    yield step(state, `the reader of user ${u + 1} arrives`, (draft) => {
      draft.reader = { ...reader, is: 'asking', user: u, due: from };
    });
  }
  if (reader.user !== u) return;
  if (reader.is === 'asking') {
    yield step(state, 'the reader is certified', (draft) => {
      draft.reader = { ...reader, is: 'told', version, deleted, floor };
    });
  }
  if (reader.is !== 'told' || stored === null || !isFreshUnder(reader, stored)) return;
  yield step(state, 'the reader answers as fresh', (draft) => {
    draft.reader = newReader();
    if (stored.from < reader.due) draft.broken = "I4: a fresh answer from before a change of the user's rows";
  });
}
