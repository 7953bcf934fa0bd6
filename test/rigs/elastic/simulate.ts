/**
 * Plays a load through a number of workers, second by second: their cost, and how late runs end. The policy is the
 * product's own (desired-workers.ts); workers and clock are simulated.
 */
import { createScaler, workersNeeded } from '@tandem/prediction/runs/desired-workers';
import type { AskedRun, Load } from './load.ts';

export interface WorkerModel {
  /** Of one worker alone. */
  readonly usersPerSecond: number;
  /** What each further worker takes from all of them: they share Postgres. */
  readonly lossByCompany: number;
  /** Seconds until a started worker works. */
  readonly startSeconds: number;
  /** Of a run, before its first chunk and after its last one. */
  readonly stepSeconds: number;
}

export const USUAL_WORKER: WorkerModel = {
  usersPerSecond: 10_000,
  lossByCompany: 0.03,
  startSeconds: 10,
  stepSeconds: 2,
};

/** How many workers there are. */
export type Staff =
  | { readonly fixed: number }
  | { readonly min: number; readonly max: number; readonly holdSeconds: number };

export interface Result {
  /** Worker-seconds, those of starting included. */
  readonly cost: number;
  readonly runs: number;
  /** Runs that ended after their deadline, or not at all. */
  readonly late: number;
  readonly latest: number;
  /** Median seconds from asking to the end. */
  readonly medianSeconds: number;
  /** Times at which the number of workers fell. */
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
  // Until all is done, but not for ever: a staff that is too small never catches up.
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

/** A second of work: planning and publishing side by side, and chunks of all runs that have any, in equal parts. */
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
