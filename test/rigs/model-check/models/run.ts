/**
 * A run is rows in Postgres: whatever is lost or dies, it ends, and a published generation has every chunk exactly once
 * (I5, I8). Jobs are hints that anybody may lose; workers die between any two steps; a worker whose lease is over goes on
 * for a while and knows nothing of it (a zombie): the fence keeps its late commit out.
 *
 * One run of a few chunks, a few workers. Each step is one transaction or one command; leases end when they please, since
 * no clock is in the model. Everything that goes wrong costs one of the faults; the reconciler comes by at any time.
 * The checker also asks that from every state an end can be reached: nothing gets stuck.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';

export interface RunRules {
  /** Whether a commit is refused where the chunk was claimed again. */
  readonly fence: 'guards the commit' | 'is not looked at';
  readonly reconciler: 'comes by' | 'never';
  /** When a worker looks whether its chunk was the last: after the commit, or (before it) with other chunks unseen. */
  readonly publishes: 'when no chunk is open' | 'when its own was the last number';
}

export interface RunScope {
  readonly chunks: number;
  readonly workers: number;
  readonly faults: number;
}

interface Chunk {
  is: 'waiting' | 'claimed' | 'committed' | 'failed' | 'cancelled';
  fence: number;
  isLeaseOver: boolean;
  /** How often its rows were written. */
  written: number;
}

interface Worker {
  is: 'idle' | 'claimed' | 'scored' | 'committed';
  no: number;
  fence: number;
}

export interface RunState {
  run: 'running' | 'publishing' | 'published' | 'failed' | 'cancelled';
  chunks: Chunk[];
  workers: Worker[];
  /** Jobs in the queue: of each chunk, and to publish. */
  hints: { chunks: boolean[]; publish: boolean };
  faultsLeft: number;
  broken: string | null;
}

type Steps = Generator<Step<RunState>>;

const IDLE: Worker = { is: 'idle', no: -1, fence: 0 };

export function run(rules: RunRules, scope: RunScope): Model<RunState> {
  return {
    name: 'run',
    initial: {
      run: 'running',
      chunks: Array.from({ length: scope.chunks }, () => ({ is: 'waiting', fence: 0, isLeaseOver: false, written: 0 })),
      workers: Array.from({ length: scope.workers }, () => IDLE),
      hints: { chunks: Array.from({ length: scope.chunks }, () => true), publish: false },
      faultsLeft: scope.faults,
      broken: null,
    },
    *steps(state) {
      if (state.broken !== null) return;
      for (const [i, worker] of state.workers.entries()) yield* workerSteps(rules, state, worker, i);
      yield* publishSteps(rules, state);
      if (rules.reconciler === 'comes by') yield* reconcilerSteps(state);
      if (state.faultsLeft > 0) yield* faultSteps(state);
    },
    violation: (state) => state.broken,
    canonical: (state) => ({ ...state, workers: sorted(state.workers) }),
    isSettled: ({ run: is, workers }) => isOver(is) && workers.every((worker) => worker.is === 'idle'),
  };
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
      yield change(`reads and scores chunk ${worker.no + 1}`, (mine) => {
        mine.is = 'scored';
      });
      return;
    case 'scored':
      if (mayCommit(rules, state, worker)) yield change(`commits chunk ${worker.no + 1}`, commit);
      else yield change(`may not commit chunk ${worker.no + 1}`, (_mine, draft) => rest(draft));
      return;
    case 'committed': {
      const wasLast =
        rules.publishes === 'when no chunk is open'
          ? !state.chunks.some(isOpen)
          : worker.no === state.chunks.length - 1;
      yield change(
        wasLast ? 'sees that no chunk is open, and hints at publishing' : 'sees that others are open',
        (_mine, draft) => {
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

/** B3. */
function claim(worker: Worker, draft: RunState, no: number): void {
  const chunk = nth(draft.chunks, no);
  draft.hints.chunks[no] = false;
  if (!isClaimable(draft, chunk)) return;
  Object.assign(chunk, { is: 'claimed', fence: chunk.fence + 1, isLeaseOver: false });
  Object.assign(worker, { is: 'claimed', no, fence: chunk.fence });
}

function mayCommit({ fence }: RunRules, { chunks, run: is }: RunState, worker: Worker): boolean {
  const chunk = nth(chunks, worker.no);
  return fence === 'is not looked at' || (is === 'running' && chunk.is === 'claimed' && chunk.fence === worker.fence);
}

/** B6. */
function commit(worker: Worker, draft: RunState): void {
  const chunk = nth(draft.chunks, worker.no);
  chunk.is = 'committed';
  chunk.written++;
  chunk.isLeaseOver = false;
  worker.is = 'committed';
  if (chunk.written > 1) draft.broken = `I5: the rows of chunk ${worker.no + 1} are written twice`;
  else if (draft.run === 'published') draft.broken = 'I5: a published generation changes';
}

/** B9, by whoever has the job. */
function* publishSteps(rules: RunRules, state: RunState): Steps {
  if (!state.hints.publish) return;
  const isReady = rules.publishes !== 'when no chunk is open' || !state.chunks.some(isOpen);
  yield step(state, isReady && !isOver(state.run) ? 'the run is concluded' : 'there is nothing to publish', (draft) => {
    draft.hints.publish = false;
    if (!isReady || isOver(draft.run)) return;
    const hasFailed = draft.chunks.some(({ is }) => is === 'failed');
    draft.run = hasFailed ? 'failed' : 'published';
    const isWhole = draft.chunks.every(({ is, written }) => is === 'committed' && written === 1);
    if (!hasFailed && !isWhole) draft.broken = 'I5: a generation is published that lacks a chunk';
  });
}

function* reconcilerSteps(state: RunState): Steps {
  if (isOver(state.run)) return;
  const due = state.chunks.map((chunk, no) => isClaimable(state, chunk) || state.hints.chunks[no] === true);
  const isNew = due.some((one, no) => one !== state.hints.chunks[no]);
  const isDone = !state.chunks.some(isOpen);
  if (!isNew && (!isDone || state.hints.publish)) return;
  yield step(state, 'the reconciler hints at what is not done', (draft) => {
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
    if (worker.is === 'idle') continue;
    yield fault(`worker ${i + 1} dies; one day its lease is over`, (draft) => {
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
    yield fault(`chunk ${worker.no + 1} cannot be scored, and is given back for good`, (draft) => {
      nth(draft.chunks, worker.no).is = 'failed';
      draft.workers[i] = { ...IDLE };
    });
  }
  if (state.hints.publish || state.hints.chunks.some(Boolean)) {
    yield fault('the queue loses everything', (draft) => {
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
