/** Renders the estimate of a budget. */
import type { RunPlan } from '@tandem/client/wire';
import { count, duration, moment, renderTable, right } from '../output/text.ts';

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
