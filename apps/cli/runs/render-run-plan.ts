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
    `${predictor}: ${count(users)} users; reads and readers until ${moment(until)} UTC`,
    ...renderTable(columns, rows),
    ...(isCounted ? [] : ['no reads are counted yet; the API counts reads and stores the counts every 5 s']),
  ];
}

function rowOf(name: string, { share, users, reads, readers, cpuMinutes, seconds }: Estimate): string[] {
  const cpu = cpuMinutes === null ? '?' : duration(cpuMinutes * 60_000);
  return [name, percent(share), count(users), percent(reads), percent(readers), cpu, duration(seconds * 1000)];
}

function percent(share: number | null): string {
  return share === null ? '?' : `${(share * 100).toFixed(1)} %`;
}
