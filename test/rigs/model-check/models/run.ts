/**
 * A run consists of rows in Postgres. It ends despite every loss and kill, and a published generation has every user
 * exactly once (I5, I8). Jobs are hints that the queue may lose. Workers are killed between any two steps. A worker
 * whose lease is over may continue without knowing it (a zombie). The fence rejects its late commit. A slow worker
 * commits the users that it has scored, and returns the others as another chunk. A worker that gets SIGTERM leaves, and
 * for some time there may be no worker.
 *
 * One run of a few chunks, a few workers. Each step is one transaction or one command. A lease may end at any time, because
 * the model has no clock. Each failure costs one of the faults. The reconciler may run at any time. The checker also requires
 * that an end can be reached from every state: the run never gets stuck.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';

export interface RunRules {
  /** Whether a commit is refused if the chunk was claimed again. */
  readonly fence: 'guards the commit' | 'is not looked at';
  readonly reconciler: 'comes by' | 'never';
  /** When a worker publishes: if no chunk is open after its commit, or if its own chunk has the last number. */
  readonly publishes: 'when no chunk is open' | 'when its own was the last number';
  /** Whether the fence guards the commit of a part of a chunk. */
  readonly splits: 'under the fence' | 'whatever the fence';
  /** When the users that were not scored become another chunk. */
  readonly handsBack: 'in the commit' | 'after the commit';
  /** The fate of chunks that were split off, when the run begins again after a failover. */
  readonly restart: 'empties what was split off' | 'keeps what was split off';
}

export interface RunScope {
  readonly chunks: number;
  /** The users of a planned chunk. */
  readonly users: number;
  readonly workers: number;
  readonly faults: number;
  /** The most splits, and the most workers that may leave. */
  readonly splits: number;
  readonly leaves: number;
  /** Whether a fault may be a failover, after which the run begins again. */
  readonly failsOver: boolean;
}

interface Chunk {
  is: 'waiting' | 'claimed' | 'committed' | 'failed' | 'cancelled';
  fence: number;
  isLeaseOver: boolean;
  /** The numbers of the chunk's users. */
  users: number[];
  isSplitOff: boolean;
}

interface Worker {
  is: 'away' | 'idle' | 'claimed' | 'scored' | 'committed';
  no: number;
  fence: number;
  /** The users that the worker has read. */
  users: number[];
  scored: number;
  /** The history in which the worker read them. */
  era: number;
}

export interface RunState {
  run: 'running' | 'publishing' | 'published' | 'failed' | 'cancelled';
  chunks: Chunk[];
  workers: Worker[];
  /** Jobs in the queue: for each chunk, and for publication. */
  hints: { chunks: boolean[]; publish: boolean };
  /** How often each user was written in this history. */
  written: number[];
  era: number;
  faultsLeft: number;
  splitsLeft: number;
  leavesLeft: number;
  broken: string | null;
}

type Steps = Generator<Step<RunState>>;

const IDLE: Worker = { is: 'idle', no: -1, fence: 0, users: [], scored: 0, era: 0 };

export function run(rules: RunRules, scope: RunScope): Model<RunState> {
  return {
    name: 'run',
    initial: {
      run: 'running',
      chunks: Array.from({ length: scope.chunks }, (_, no) => waiting(usersOf(scope, no), false)),
      workers: Array.from({ length: scope.workers }, () => IDLE),
      hints: { chunks: Array.from({ length: scope.chunks }, () => true), publish: false },
      written: Array.from({ length: scope.chunks * scope.users }, () => 0),
      era: 0,
      faultsLeft: scope.faults,
      splitsLeft: scope.splits,
      leavesLeft: scope.leaves,
      broken: null,
    },
    *steps(state) {
      if (state.broken !== null) return;
      for (const [i, worker] of state.workers.entries()) yield* workerSteps(rules, state, worker, i);
      yield* comingsAndGoings(state);
      if (state.workers.some(({ is }) => is !== 'away')) {
        yield* publishSteps(rules, state);
        if (rules.reconciler === 'comes by') yield* reconcilerSteps(state);
      }
      if (state.faultsLeft > 0) yield* faultSteps(state);
      if (state.faultsLeft > 0 && scope.failsOver) yield* failoverSteps(rules, state);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, workers: sorted(state.workers) }),
    isSettled: ({ run: is, workers }) =>
      isOver(is) && workers.every((worker) => worker.is === 'idle' || worker.is === 'away'),
  };
}

function usersOf({ users }: RunScope, no: number): number[] {
  return Array.from({ length: users }, (_, i) => no * users + i);
}

function waiting(users: readonly number[], isSplitOff: boolean): Chunk {
  return { is: 'waiting', fence: 0, isLeaseOver: false, users: [...users], isSplitOff };
}

function isOver(is: RunState['run']): boolean {
  return is === 'published' || is === 'failed' || is === 'cancelled';
}

function isOpen({ is }: Chunk): boolean {
  return is === 'waiting' || is === 'claimed';
}

function* workerSteps(rules: RunRules, state: RunState, worker: Worker, i: number): Steps {
  const change = (does: string, then: (worker: Worker, draft: RunState) => void) =>
    step(state, `worker ${i + 1}: ${does}`, (draft) => then(nth(draft.workers, i), draft));
  const rest = (draft: RunState) => {
    draft.workers[i] = { ...IDLE };
  };
  switch (worker.is) {
    case 'away':
      return;
    case 'idle':
      for (const [no, chunk] of state.chunks.entries()) {
        if (!state.hints.chunks[no]) continue;
        yield change(
          `takes the job of chunk ${no + 1}${isClaimable(state, chunk) ? ', and claims it' : ': nothing to do'}`,
          (mine, draft) => claim(mine, draft, no),
        );
      }
      return;
    case 'claimed':
      yield change(`reads and scores chunk ${worker.no + 1}`, (mine, draft) => score(mine, draft, mine.users.length));
      if (state.splitsLeft > 0 && worker.users.length > 1) {
        yield change(`is slow, and scores a part of chunk ${worker.no + 1}`, (mine, draft) => score(mine, draft, 1));
      }
      return;
    case 'scored':
      if (mayCommit(rules, state, worker))
        yield change(tellCommit(worker), (mine, draft) => commit(rules, mine, draft));
      else yield change(`may not commit chunk ${worker.no + 1}`, (_mine, draft) => rest(draft));
      return;
    case 'committed': {
      const wasLast =
        rules.publishes === 'when no chunk is open'
          ? !state.chunks.some(isOpen)
          : worker.no === state.chunks.length - 1;
      yield change(
        wasLast ? 'sees that no chunk is open, and enqueues the publication' : 'sees that other chunks are open',
        (mine, draft) => {
          if (rules.handsBack === 'after the commit') handBack(mine, draft);
          rest(draft);
          if (!wasLast) return;
          draft.hints.publish = true;
          if (draft.run === 'running') draft.run = 'publishing';
        },
      );
    }
  }
}

function isClaimable({ run: is }: RunState, chunk: Chunk): boolean {
  return is === 'running' && (chunk.is === 'waiting' || (chunk.is === 'claimed' && chunk.isLeaseOver));
}

/** Claims a chunk (B3). */
function claim(worker: Worker, draft: RunState, no: number): void {
  const chunk = nth(draft.chunks, no);
  draft.hints.chunks[no] = false;
  if (!isClaimable(draft, chunk)) return;
  Object.assign(chunk, { is: 'claimed', fence: chunk.fence + 1, isLeaseOver: false });
  Object.assign(worker, { is: 'claimed', no, fence: chunk.fence, users: [...chunk.users], era: draft.era });
}

function score(worker: Worker, draft: RunState, users: number): void {
  if (users < worker.users.length) draft.splitsLeft--;
  Object.assign(worker, { is: 'scored', scored: users });
}

function isPart({ users, scored }: Worker): boolean {
  return scored < users.length;
}

function mayCommit(rules: RunRules, { chunks, run: is, era }: RunState, worker: Worker): boolean {
  const chunk = nth(chunks, worker.no);
  const looks = isPart(worker) ? rules.splits === 'under the fence' : rules.fence === 'guards the commit';
  const isOfThisPast = worker.era === era;
  return !looks || (is === 'running' && isOfThisPast && chunk.is === 'claimed' && chunk.fence === worker.fence);
}

function tellCommit(worker: Worker): string {
  return isPart(worker) ? `commits a part of chunk ${worker.no + 1}` : `commits chunk ${worker.no + 1}`;
}

/** Commits the scored users of a chunk (B6). */
function commit(rules: RunRules, worker: Worker, draft: RunState): void {
  const chunk = nth(draft.chunks, worker.no);
  chunk.is = 'committed';
  chunk.isLeaseOver = false;
  worker.is = 'committed';
  for (const user of worker.users.slice(0, worker.scored)) {
    const times = (draft.written[user] ?? 0) + 1;
    draft.written[user] = times;
    if (times > 1) draft.broken = `I5: the rows of user ${user + 1} are written twice`;
  }
  if (rules.handsBack === 'in the commit') handBack(worker, draft);
  if (draft.run === 'published') draft.broken ??= 'I5: a published generation changes';
}

/** Makes another chunk of the users that were not scored, which any worker may claim. */
function handBack(worker: Worker, draft: RunState): void {
  const left = worker.users.slice(worker.scored);
  if (left.length === 0) return;
  draft.chunks.push(waiting(left, true));
  draft.hints.chunks.push(true);
}

/** Workers join at any time. A worker that leaves hands back its chunk if it has not scored any of its users. */
function* comingsAndGoings(state: RunState): Steps {
  for (const [i, worker] of state.workers.entries()) {
    if (worker.is === 'away') {
      yield step(state, `worker ${i + 1} joins`, (draft) => {
        draft.workers[i] = { ...IDLE };
      });
    } else if (state.leavesLeft > 0 && (worker.is === 'idle' || worker.is === 'claimed')) {
      yield step(state, `worker ${i + 1} gets SIGTERM, and leaves`, (draft) => {
        draft.leavesLeft--;
        draft.workers[i] = { ...IDLE, is: 'away' };
        if (worker.is === 'claimed' && holds(draft, worker)) nth(draft.chunks, worker.no).is = 'waiting';
      });
    }
  }
}

function holds({ chunks, run: is }: RunState, worker: Worker): boolean {
  const chunk = nth(chunks, worker.no);
  return is === 'running' && chunk.is === 'claimed' && chunk.fence === worker.fence;
}

/** Publishes the run (B9). Any worker may take the job. */
function* publishSteps(rules: RunRules, state: RunState): Steps {
  if (!state.hints.publish) return;
  const isReady = rules.publishes !== 'when no chunk is open' || !state.chunks.some(isOpen);
  yield step(state, isReady && !isOver(state.run) ? 'the run is concluded' : 'there is nothing to publish', (draft) => {
    draft.hints.publish = false;
    if (!isReady || isOver(draft.run)) return;
    const hasFailed = draft.chunks.some(({ is }) => is === 'failed');
    draft.run = hasFailed ? 'failed' : 'published';
    const isWhole = draft.chunks.every(({ is }) => is === 'committed') && draft.written.every((times) => times === 1);
    if (!hasFailed && !isWhole) draft.broken = 'I5: a generation is published that lacks a user';
  });
}

function* reconcilerSteps(state: RunState): Steps {
  if (isOver(state.run)) return;
  const due = state.chunks.map((chunk, no) => isClaimable(state, chunk) || state.hints.chunks[no] === true);
  const isNew = due.some((one, no) => one !== state.hints.chunks[no]);
  const isDone = !state.chunks.some(isOpen);
  if (!isNew && (!isDone || state.hints.publish)) return;
  yield step(state, 'the reconciler enqueues the unfinished work', (draft) => {
    draft.hints.chunks = due;
    if (!isDone) return;
    draft.hints.publish = true;
    draft.run = 'publishing';
  });
}

function* faultSteps(state: RunState): Steps {
  const fault = (does: string, change: (draft: RunState) => void) =>
    step(state, `FAULT: ${does}`, (draft) => {
      draft.faultsLeft--;
      change(draft);
    });
  for (const [i, worker] of state.workers.entries()) {
    if (worker.is === 'idle' || worker.is === 'away') continue;
    yield fault(`worker ${i + 1} dies; later its lease ends`, (draft) => {
      draft.workers[i] = { ...IDLE };
      const chunk = nth(draft.chunks, worker.no);
      if (chunk.is === 'claimed' && chunk.fence === worker.fence) chunk.isLeaseOver = true;
    });
    const chunk = nth(state.chunks, worker.no);
    const isHeld = chunk.is === 'claimed' && chunk.fence === worker.fence && !chunk.isLeaseOver;
    if (worker.is === 'committed' || !isHeld) continue;
    yield fault(`worker ${i + 1} is paused, and its lease is over`, (draft) => {
      nth(draft.chunks, worker.no).isLeaseOver = true;
    });
    yield fault(`chunk ${worker.no + 1} cannot be scored, and fails`, (draft) => {
      nth(draft.chunks, worker.no).is = 'failed';
      draft.workers[i] = { ...IDLE };
    });
  }
  if (state.hints.publish || state.hints.chunks.some(Boolean)) {
    yield fault('the queue loses all jobs', (draft) => {
      draft.hints = { chunks: draft.chunks.map(() => false), publish: false };
    });
  }
  if (state.run === 'running') {
    yield fault('the run is cancelled', (draft) => {
      draft.run = 'cancelled';
      for (const chunk of draft.chunks) if (chunk.is === 'waiting') chunk.is = 'cancelled';
    });
  }
}

/**
 * Begins the run again, because committed rows may be from a lost context and must be computed again (restart-run.ts).
 */
function* failoverSteps(rules: RunRules, state: RunState): Steps {
  if (state.run !== 'running' && state.run !== 'publishing') return;
  yield step(state, 'FAULT: a failover changes the history, and the run begins again', (draft) => {
    draft.faultsLeft--;
    draft.era++;
    draft.run = 'running';
    draft.written.fill(0);
    for (const chunk of draft.chunks) {
      const isEmptied = chunk.isSplitOff && rules.restart === 'empties what was split off';
      Object.assign(chunk, { is: isEmptied ? 'committed' : 'waiting', fence: chunk.fence + 1, isLeaseOver: false });
      if (isEmptied) chunk.users = [];
    }
  });
}
