/**
 * The steps of a run around its chunks. Each is claimed with a fence and a lease, and written by one transaction that
 * the fence guards. Workers are killed or paused, and runs are cancelled or resumed. The model checks that a run makes
 * one generation, publishes it once, and never after its cancellation (I5, I8). A predictor has one plan and one
 * comparison at a time, and no run gets stuck.
 *
 * Two runs of one predictor, a few workers. Scoring is one step here; run.ts models it. Any time may pass between a claim and
 * its write. The lease of a paused worker may end, and the worker continues without knowing that.
 */
import { type Model, nth, type Step, sorted, step } from '../checker/model.ts';

export interface RunStepRules {
  /** Whether a write is refused if the step was claimed again or the run has ended. */
  readonly fence: 'guards the write' | 'is not looked at';
  /** The effect of a cancellation on the claim of the current step. */
  readonly cancel: 'ends the claim' | 'leaves the claim';
  readonly claims: 'one of a kind' | 'as many as there are';
}

export interface RunStepScope {
  readonly runs: number;
  readonly workers: number;
  readonly faults: number;
}

type Kind = 'plan' | 'publish';

interface StepRun {
  is: 'planned' | 'running' | 'publishing' | 'published' | 'cancelled';
  claimed: Kind | null;
  fence: number;
  isLeaseOver: boolean;
  /** Whether the queue has a job for the run. */
  isHinted: boolean;
  generations: number;
}

interface Worker {
  is: 'idle' | 'working' | 'done';
  run: number;
  kind: Kind | null;
  fence: number;
}

export interface RunStepState {
  runs: StepRun[];
  workers: Worker[];
  faultsLeft: number;
  broken: string | null;
}

type Steps = Generator<Step<RunStepState>>;

const IDLE: Worker = { is: 'idle', run: -1, kind: null, fence: 0 };
const ASKED: StepRun = { is: 'planned', claimed: null, fence: 0, isLeaseOver: false, isHinted: true, generations: 0 };

export function runSteps(rules: RunStepRules, scope: RunStepScope): Model<RunStepState> {
  return {
    name: 'run steps',
    initial: {
      runs: Array.from({ length: scope.runs }, () => ASKED),
      workers: Array.from({ length: scope.workers }, () => IDLE),
      faultsLeft: scope.faults,
      broken: null,
    },
    *steps(state) {
      if (state.broken !== null) return;
      for (const i of state.workers.keys()) yield* workerSteps(rules, state, i);
      for (const i of state.runs.keys()) yield* runItself(rules, state, i);
      if (state.faultsLeft > 0) yield* faultSteps(rules, state);
    },
    violation: (state) => state.broken ?? twoAtOnce(state),
    canonical: (state) => ({ ...state, workers: sorted(state.workers) }),
    isSettled: ({ runs, workers }) => runs.every(isOver) && workers.every((worker) => worker.is === 'idle'),
  };
}

function isOver({ is }: StepRun): boolean {
  return is === 'published' || is === 'cancelled';
}

/** Returns the step that is due in the run's state. */
function due({ is }: StepRun): Kind | null {
  return is === 'planned' ? 'plan' : is === 'publishing' ? 'publish' : null;
}

function isHeld(run: StepRun, { kind, fence }: Worker): boolean {
  return run.claimed !== null && run.claimed === kind && run.fence === fence;
}

function twoAtOnce({ runs, workers }: RunStepState): string | null {
  const held = workers.filter((worker) => {
    const run = runs[worker.run];
    return worker.is === 'working' && run !== undefined && isHeld(run, worker) && !run.isLeaseOver;
  });
  const kinds = held.map(({ kind }) => kind);
  return new Set(kinds).size < kinds.length ? 'I8: the same step of two runs of a predictor is in progress' : null;
}

function isClaimable({ claims }: RunStepRules, { runs }: RunStepState, i: number): boolean {
  const run = nth(runs, i);
  const kind = due(run);
  if (kind === null || (run.claimed !== null && !run.isLeaseOver)) return false;
  return claims !== 'one of a kind' || runs.every((other, j) => j === i || other.claimed !== kind);
}

function* workerSteps(rules: RunStepRules, state: RunStepState, i: number): Steps {
  const worker = nth(state.workers, i);
  const change = (does: string, then: (mine: Worker, draft: RunStepState) => void) =>
    step(state, `worker ${i + 1}: ${does}`, (draft) => then(nth(draft.workers, i), draft));
  switch (worker.is) {
    case 'idle':
      for (const [no, run] of state.runs.entries()) {
        if (!run.isHinted) continue;
        const can = isClaimable(rules, state, no);
        yield change(`takes a job of run ${no + 1}${can ? ', and claims it' : ': nothing to do'}`, (mine, draft) =>
          claim(mine, nth(draft.runs, no), no, can),
        );
      }
      return;
    case 'working':
      yield change(`ends its ${worker.kind === 'plan' ? 'scan' : 'comparison'} for run ${worker.run + 1}`, (mine) => {
        mine.is = 'done';
      });
      return;
    case 'done': {
      const run = nth(state.runs, worker.run);
      const may = rules.fence === 'is not looked at' || (isHeld(run, worker) && due(run) === worker.kind);
      yield change(may ? `writes its result for run ${worker.run + 1}` : 'may not write', (_mine, draft) => {
        if (may) write(draft, worker);
        draft.workers[i] = { ...IDLE };
      });
    }
  }
}

function claim(mine: Worker, run: StepRun, no: number, can: boolean): void {
  run.isHinted = false;
  const kind = due(run);
  if (!can || kind === null) return;
  Object.assign(run, { claimed: kind, fence: run.fence + 1, isLeaseOver: false });
  Object.assign(mine, { is: 'working', run: no, kind, fence: run.fence });
}

function write(draft: RunStepState, { run: no, kind }: Worker): void {
  const run = nth(draft.runs, no);
  if (kind === 'plan') {
    run.generations++;
    if (run.generations > 1) draft.broken = `I5: run ${no + 1} makes two generations`;
  } else if (isOver(run)) draft.broken = `I5: run ${no + 1} is published though it is ${run.is} already`;
  if (draft.broken === null && run.is === 'cancelled')
    draft.broken = `I5: run ${no + 1} continues although it is cancelled`;
  Object.assign(run, { is: kind === 'plan' ? 'running' : 'published', claimed: null, isLeaseOver: false });
}

/** Steps of a run outside of this model's workers: its chunks are scored, and the reconciler enqueues it. */
function* runItself(rules: RunStepRules, state: RunStepState, i: number): Steps {
  const run = nth(state.runs, i);
  if (run.is === 'running') {
    yield step(state, `the chunks of run ${i + 1} are committed`, (draft) => {
      nth(draft.runs, i).is = 'publishing';
    });
  }
  if (run.isHinted || !isClaimable(rules, state, i)) return;
  yield step(state, `the reconciler hints at run ${i + 1}`, (draft) => {
    nth(draft.runs, i).isHinted = true;
  });
}

function* faultSteps(rules: RunStepRules, state: RunStepState): Steps {
  const fault = (does: string, change: (draft: RunStepState) => void) =>
    step(state, `FAULT: ${does}`, (draft) => {
      draft.faultsLeft--;
      change(draft);
    });
  for (const [i, worker] of state.workers.entries()) {
    if (worker.is === 'idle') continue;
    const endLease = (draft: RunStepState) => {
      const run = nth(draft.runs, worker.run);
      if (isHeld(run, worker)) run.isLeaseOver = true;
    };
    yield fault(`worker ${i + 1} is paused, and its lease is over`, endLease);
    yield fault(`worker ${i + 1} dies; later its lease ends`, (draft) => {
      endLease(draft);
      draft.workers[i] = { ...IDLE };
    });
  }
  for (const [i, run] of state.runs.entries()) {
    if (!isOver(run)) {
      yield fault(`run ${i + 1} is cancelled`, (draft) => {
        const ended = nth(draft.runs, i);
        ended.is = 'cancelled';
        if (rules.cancel === 'ends the claim') Object.assign(ended, { claimed: null, isLeaseOver: false });
      });
    } else if (run.is === 'cancelled') {
      yield fault(`run ${i + 1} is resumed`, (draft) => {
        nth(draft.runs, i).is = run.generations === 0 ? 'planned' : 'running';
      });
    }
  }
}
