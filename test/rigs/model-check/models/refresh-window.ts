/**
 * The cost and the result of re-scoring for one user. A storm of events costs at most one inference per window (a tick
 * of the clock), for any workers that get the user from the relay. If no worker is killed, the last event is re-scored.
 *
 * A worker has its own queue with the user's newest version. When it reaches the user, it first checks the stored
 * answer. If the answer is new enough, because a read or another worker came first, the worker removes the user.
 * Otherwise it claims the window, or postpones the user to the next window. Events come before, during and after an
 * inference. A worker may be killed and loses its queue and its inference.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';

export interface RefreshWindowRules {
  /** Where a worker claims a window: in one place for all workers, or (F3) in its own memory. */
  readonly claim: 'shared' | 'of the worker';
  /** Whether an event during the user's inference puts the user into the queue again. */
  readonly during: 'queued again' | 'left to the inference';
}

export interface RefreshWindowScope {
  readonly events: number;
  readonly workers: number;
  readonly ticks: number;
  readonly reads: number;
  readonly losses: number;
}

interface RefreshWorker {
  /** The version that the worker's queue names, or 0 if the user is not in it. */
  queued: number;
  /** The first window in which the entry is due. */
  dueAt: number;
  /** The label of the current inference, or -1 without an inference. */
  label: number;
  isReading: boolean;
  /** The last window that the worker has claimed, or -1 for none. */
  claimed: number;
}

export interface RefreshWindowState {
  version: number;
  /** The label of the stored answer. */
  stored: number;
  /** For each event, whether the relay has named it. */
  isRelayed: boolean[];
  workers: RefreshWorker[];
  now: number;
  /** The last window that any worker has claimed, if all workers share windows. */
  claimed: number;
  /** Inferences of re-scorers that began in this window. */
  inferences: number;
  left: { ticks: number; reads: number; losses: number };
  isLost: boolean;
}

type Steps = Generator<Step<RefreshWindowState>>;

const IDLE: RefreshWorker = { queued: 0, dueAt: 0, label: -1, isReading: false, claimed: -1 };

export function refreshWindow(rules: RefreshWindowRules, scope: RefreshWindowScope): Model<RefreshWindowState> {
  const { events, workers, ...left } = scope;
  return {
    name: 'refresh window',
    initial: {
      ...{ version: 0, stored: 0, isRelayed: Array.from({ length: events }, () => false), isLost: false },
      ...{ workers: Array.from({ length: workers }, () => ({ ...IDLE })), now: 0, claimed: -1, inferences: 0, left },
    },
    *steps(state) {
      yield* worldSteps(rules, state);
      for (const i of state.workers.keys()) yield* workerSteps(rules, state, i);
    },
    violation: (state) =>
      state.inferences > 1 ? `window: it has ${state.inferences} inferences of one user` : missed(state, events),
    canonical: (state) => ({ ...state, workers: sorted(state.workers) }),
    isSettled: (state) => isQuiet(state, events),
  };
}

function isQuiet({ version, isRelayed, workers }: RefreshWindowState, events: number): boolean {
  const isIdle = workers.every(({ queued, label, isReading }) => queued === 0 && label < 0 && !isReading);
  return version === events && isRelayed.every(Boolean) && isIdle;
}

function missed(state: RefreshWindowState, events: number): string | null {
  if (state.isLost || !isQuiet(state, events) || state.stored >= state.version) return null;
  return `stuck: nothing was lost, and version ${state.version} is not re-scored`;
}

function* worldSteps(rules: RefreshWindowRules, state: RefreshWindowState): Steps {
  const { version, isRelayed, workers, now, left } = state;
  if (version < isRelayed.length) {
    yield step(state, `an event commits: version ${version + 1}`, (draft) => void draft.version++);
  }
  for (const [event, done] of isRelayed.entries()) {
    if (done || event >= version) continue;
    for (const i of workers.keys()) {
      yield step(state, `worker ${i + 1} relays version ${event + 1}`, (draft) => {
        draft.isRelayed[event] = true;
        const mine = nth(draft.workers, i);
        if (rules.during === 'left to the inference' && (mine.isReading || mine.label >= 0)) return;
        if (mine.queued === 0) mine.dueAt = now;
        mine.queued = Math.max(mine.queued, event + 1);
      });
    }
  }
  // A postponed user needs a next window, so the last tick can always come.
  if (left.ticks > 0 || workers.some(({ queued, dueAt }) => queued > 0 && dueAt > now)) {
    yield step(state, 'the next window begins', (draft) => {
      draft.left.ticks = Math.max(0, left.ticks - 1);
      draft.now++;
      draft.inferences = 0;
    });
  }
  if (left.reads > 0) {
    yield step(state, 'a read infers, and its answer is stored', (draft) => {
      draft.left.reads--;
      draft.stored = version;
    });
  }
}

function* workerSteps(rules: RefreshWindowRules, state: RefreshWindowState, i: number): Steps {
  const { queued, dueAt, label, isReading, claimed } = nth(state.workers, i);
  const change = (does: string, then: (mine: RefreshWorker, draft: RefreshWindowState) => void) =>
    step(state, `worker ${i + 1}: ${does}`, (draft) => then(nth(draft.workers, i), draft));
  const isBusy = isReading || label >= 0;
  if (queued > 0 && dueAt <= state.now && !isBusy) {
    if (state.stored >= queued) {
      yield change('takes the user out, whose stored answer is new enough', (mine) => {
        mine.queued = 0;
      });
    } else if ((rules.claim === 'shared' ? state.claimed : claimed) < state.now) {
      yield change('claims the window, and begins an inference', (mine, draft) => {
        if (rules.claim === 'shared') draft.claimed = state.now;
        else mine.claimed = state.now;
        Object.assign(mine, { queued: 0, isReading: true });
        draft.inferences++;
      });
    } else
      yield change('puts the user back until the next window', (mine) => {
        mine.dueAt = state.now + 1;
      });
  }
  if (isReading) {
    yield change('reads features and version', (mine) => {
      Object.assign(mine, { isReading: false, label: state.version });
    });
  }
  if (label >= 0) {
    yield change('stores its answer, unless the stored one is newer', (mine, draft) => {
      draft.stored = Math.max(draft.stored, label);
      mine.label = -1;
    });
  }
  if (state.left.losses > 0 && (queued > 0 || isBusy)) {
    yield change('is killed and loses its state', (_mine, draft) => {
      draft.left.losses--;
      draft.isLost = true;
      draft.workers[i] = { ...IDLE };
    });
  }
}
