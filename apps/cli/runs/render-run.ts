/** Renders batch runs. */

import { isFinished, type Run, type RunPlan, type RunState } from '@tandem/client/wire';
import type { Paint, Tone } from '@tandem/commands/command';
import {
  ago,
  count,
  duration,
  moment,
  printable,
  renderFields,
  renderTable,
  right,
} from '@tandem/commands/output/text';

const STATE_TONES: Readonly<Record<RunState, Tone>> = {
  planned: 'strong',
  running: 'strong',
  publishing: 'strong',
  done: 'good',
  done_with_errors: 'warn',
  failed: 'bad',
  cancelled: 'warn',
};

/** Renders a run in full, with the users that could not be scored at the end. */
export function renderRun(run: Run, paint: Paint, now: number): string[] {
  const lines = renderFields([
    ['run', run.id],
    ['state', `${paint(STATE_TONES[run.state], run.state)}${run.error === null ? '' : `: ${printable(run.error)}`}`],
    ['attempts', attemptsOf(run)],
    ['predictor', `${run.predictor}, scope ${run.scope}, model version ${run.modelVersion}${generationOf(run)}`],
    ['budget', budgetOf(run)],
    ['users', usersOf(run)],
    ['chunks', `${count(run.chunksCommitted)} of ${count(run.chunkCount)}`],
    ['created', `${moment(run.createdAt)} UTC (${ago(run.createdAt, now)}) by ${printable(run.reason)}`],
    ['took', tookOf(run, now)],
  ]);
  return [...lines, ...renderFailures(run.failures ?? [], run.usersFailed)];
}

export function renderRuns(runs: readonly Run[], paint: Paint, now: number): string[] {
  if (runs.length === 0) return ['no runs yet; start one: tandem run start <predictor>'];
  const columns = ['run', 'predictor', 'scope', 'state', right('users'), 'generation', 'created', 'took'];
  const rows = runs.map((run) => [
    run.id,
    run.predictor,
    run.scope,
    paint(STATE_TONES[run.state], run.state),
    count(run.usersScored),
    run.generation ?? '',
    ago(run.createdAt, now),
    tookOf(run, now),
  ]);
  return renderTable(columns, rows);
}

function renderFailures(failures: NonNullable<Run['failures']>, failed: number): string[] {
  if (failures.length === 0) return [];
  const shown = failures.slice(0, 20);
  const rows = shown.map(({ userId, reason }) => [printable(userId), printable(reason)] as const);
  const more = failed > shown.length ? [`  … and ${count(failed - shown.length)} more (--json names up to 1,000)`] : [];
  return ['not scored:', ...renderFields(rows, '  '), ...more];
}

/** Renders the attempts at a step; null if it succeeded or is tried for the first time. */
function attemptsOf({ attempts, attemptError }: Run): string | null {
  if (attempts < 2 && attemptError === null) return null;
  return `${count(attempts)}${attemptError === null ? '' : `; the last failed: ${printable(attemptError)}`}`;
}

function budgetOf({ budget }: Run): string | null {
  if (budget === null) return null;
  return 'share' in budget ? `${budget.share * 100} % of the users` : `${budget.cpuMinutes} CPU minutes`;
}

function usersOf({ usersScored, usersFailed, usersExpected }: Run): string {
  return `${count(usersScored)} scored, ${count(usersFailed)} failed, ${count(usersExpected)} expected`;
}

function generationOf({ generation }: Run): string {
  return generation === null ? '' : `, generation ${generation}`;
}

function tookOf(run: Run, now: number): string {
  if (run.startedAt === null) return '';
  const end = isFinished(run.state) && run.finishedAt !== null ? Date.parse(run.finishedAt) : now;
  return duration(Math.max(0, end - Date.parse(run.startedAt)));
}

type Estimate = RunPlan['budgets'][number];

export function renderRunPlan({ predictor, users, until, asked, budgets }: RunPlan): string[] {
  const columns = [
    '',
    right('budget'),
    right('users'),
    right('of reads'),
    right('of readers'),
    right('CPU'),
    right('time'),
  ];
  const rows = [...(asked === null ? [] : [rowOf('requested', asked)]), ...budgets.map((one) => rowOf('', one))];
  const isCounted = budgets.some(({ reads }) => reads !== null);
  return [
    `${predictor}: ${count(users)} users; next run at ${moment(until)} UTC`,
    ...renderTable(columns, rows),
    isCounted
      ? 'reads and readers of the next day, of all predictors, with a 95 % interval'
      : 'not enough reads: an estimate needs about 1,000 reads in the last two weeks, on four days or more',
  ];
}

function rowOf(name: string, { share, users, reads, readsInterval, readers, cpuMinutes, seconds }: Estimate): string[] {
  const cpu = cpuMinutes === null ? '?' : duration(cpuMinutes * 60_000);
  const interval = readsInterval && ` (${points(readsInterval.low)} to ${points(readsInterval.high)} %)`;
  const covered = reads === null ? '?' : `${points(reads)} %${interval ?? ''}`;
  const read = readers === null ? '?' : `${points(readers)} %`;
  return [name, percent(share), count(users), covered, read, cpu, duration(seconds * 1000)];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function points(share: number): string {
  return (share * 100).toFixed(0);
}
