/**
 * Simulates a load second by second with a number of workers, and computes their cost and the lateness of runs. The
 * policy is the product's own (desired-workers.ts). Workers and clock are simulated.
 */
import { createScaler, workersNeeded } from '@tandem/prediction/runs/desired-workers';
import type { AskedRun, Load } from './load.ts';

export interface WorkerModel {
  /** The speed of one worker that runs alone. */
  readonly usersPerSecond: number;
  /** The loss of speed of all workers with each further worker, because they share Postgres. */
  readonly lossByCompany: number;
  /** Seconds from the start of a worker until it scores users. */
  readonly startSeconds: number;
  /** The seconds of a run before its first chunk, and after its last chunk. */
  readonly stepSeconds: number;
}

export const USUAL_WORKER: WorkerModel = {
  usersPerSecond: 10_000,
  lossByCompany: 0.03,
  startSeconds: 10,
  stepSeconds: 2,
};

/** The number of workers: fixed, or by autoscaling. */
export type Staff =
  | { readonly fixed: number }
  | { readonly min: number; readonly max: number; readonly holdSeconds: number };

export interface Result {
  /** The worker-seconds, including those of starting workers. */
  readonly cost: number;
  readonly runs: number;
  /** The number of runs that ended after their deadline, or not at all. */
  readonly late: number;
  readonly latest: number;
  /** The median seconds from the request to the end of a run. */
  readonly medianSeconds: number;
  /** The number of times that the number of workers fell. */
  readonly falls: number;
}

const LOOK_SECONDS = 5;

interface UnfinishedRun extends AskedRun {
  left: number;
  stepsLeft: number;
}

export function simulate({ seconds, runs, events }: Load, model: WorkerModel, staff: Staff): Result {
  const scale = 'fixed' in staff ? () => staff.fixed : scaler(staff);
  /** When each worker was started. */
  let workers: number[] = 'fixed' in staff ? Array(staff.fixed).fill(-model.startSeconds) : [];
  const open: UnfinishedRun[] = [];
  const took: { run: AskedRun; at: number }[] = [];
  const measured = new Map<string, number>();
  let [cost, falls, asked, told, untold] = [0, 0, 0, 0, 0];
  // Until all runs are done, but with a limit, because too few workers never catch up.
  for (let now = 0; now < seconds || (open.length > 0 && now < 2 * seconds); now++) {
    for (let run = runs[asked]; run && run.at <= now; run = runs[++asked]) {
      open.push({ ...run, left: run.users, stepsLeft: 2 * model.stepSeconds });
    }
    for (; (events[told] ?? Number.POSITIVE_INFINITY) <= now; told++) untold++;
    if (now % LOOK_SECONDS === 0) {
      const target = scale(now, needed(open, measured, untold, now));
      if (target < workers.length) falls++;
      workers = [...workers, ...Array(Math.max(0, target - workers.length)).fill(now)].slice(0, target);
    }
    cost += workers.length;
    const working = workers.filter((since) => now - since >= model.startSeconds).length;
    if (working === 0) continue;
    untold = 0;
    work(open, working, model, measured);
    for (const run of open.filter(({ left, stepsLeft }) => left <= 0 && stepsLeft <= 0))
      took.push({ run, at: now + 1 });
    open.splice(0, open.length, ...open.filter(({ left, stepsLeft }) => left > 0 || stepsLeft > 0));
  }
  return summary(took, open, { cost, falls });
}

function scaler({ min, max, holdSeconds }: Extract<Staff, { min: number }>) {
  const scale = createScaler({ min, max, holdMs: 1_000 * holdSeconds });
  return (now: number, workers: number) => scale(1_000 * now, workers);
}

function needed(
  open: readonly UnfinishedRun[],
  measured: ReadonlyMap<string, number>,
  untold: number,
  now: number,
): number {
  const waiting = open.map(({ predictor, left, deadline }) => ({
    ...{ predictor, users: Math.max(0, left), secondsLeft: deadline - now },
    usersPerSecond: measured.get(predictor) ?? null,
  }));
  return workersNeeded({ runs: waiting, chores: untold > 0 ? ['events'] : [] });
}

/**
 * Simulates a second of work: plans and publications run in parallel, and the chunks of all runs share the speed
 * equally.
 */
function work(
  open: readonly UnfinishedRun[],
  working: number,
  model: WorkerModel,
  measured: Map<string, number>,
): void {
  const { usersPerSecond, lossByCompany, stepSeconds } = model;
  const each = usersPerSecond / (1 + lossByCompany * (working - 1));
  const ready: UnfinishedRun[] = [];
  for (const run of open) {
    if (run.stepsLeft <= stepSeconds && run.left > 0) ready.push(run);
    else run.stepsLeft--;
  }
  let capacity = each * working;
  for (const [i, run] of ready.toSorted((a, b) => a.left - b.left).entries()) {
    const done = Math.min(run.left, capacity / (ready.length - i));
    run.left -= done;
    capacity -= done;
    measured.set(run.predictor, each);
  }
}

function summary(
  took: readonly { run: AskedRun; at: number }[],
  open: readonly UnfinishedRun[],
  { cost, falls }: Pick<Result, 'cost' | 'falls'>,
): Result {
  const lateness = took.map(({ run, at }) => at - run.deadline).filter((seconds) => seconds > 0);
  const times = took.map(({ run, at }) => at - run.at).toSorted((a, b) => a - b);
  return {
    ...{ cost, falls, runs: took.length + open.length, late: lateness.length + open.length },
    latest: open.length > 0 ? Number.POSITIVE_INFINITY : Math.max(0, ...lateness),
    medianSeconds: times[times.length >> 1] ?? 0,
  };
}
