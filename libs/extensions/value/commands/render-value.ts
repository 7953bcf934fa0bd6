/** Renders a value report: the findings, then the quality and cost of each way of serving, then the quality by age. */

import { count, counted, moment, renderTable, right, wrap } from '@tandem/commands/output/text';
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { formatDuration } from '@tandem/wire/durations';
import type { AgeFigures } from '../age-curve.ts';
import type { PolicyFigures, ValueReport } from '../value-report.ts';
import { conclusionsOf, figure, measureOf } from './conclusions.ts';

const WIDTH = 110;
/** The number of equally active users below which the report warns. */
const FEW_USERS = 50;

/** Returns the lines of the report, with remarks on the origin of its history. */
export function renderValueReport(report: ValueReport, notes: readonly string[]): string[] {
  const [headline = '', ...sentences] = conclusionsOf(report);
  return [
    ...wrap(headline, WIDTH),
    ...sentences.flatMap((sentence) => wrap(sentence, WIDTH - 2).map((line, i) => `${i === 0 ? '· ' : '  '}${line}`)),
    '',
    ...sourceLines(report, notes).flatMap((line) => wrap(line, WIDTH)),
    '',
    ...policyTable(report),
    ...chanceTable(report),
    '',
    ...ageTable(report),
  ];
}

function sourceLines(
  { predictor, simulated, from, to, reads, users, outcomeRate, measure }: ValueReport,
  notes: readonly string[],
) {
  const rate = outcomeRate === null ? '' : `, an outcome of 1 after ${figure(100 * outcomeRate)} % of them`;
  const left = `${count(reads.unknownContext)} left out because their context is unknown, ${count(reads.unscorable)} because the model cannot score them`;
  const unknown = `${counted(reads.unknownOutcome, 'read')} (${figure((100 * reads.unknownOutcome) / (reads.judged + reads.unknownOutcome), 2)} %) left out because the outcome is unknown. The figures hold for all reads only if the gain does not differ between reads with a known and an unknown outcome.`;
  const few = `The reads weigh like those of only ${figure(users.effective, 2)} equally active users: intervals are wide, and may be too narrow if the gain depends on a user's activity.`;
  return [
    `Predictor ${predictor}, ${moment(from)} to ${moment(to)} UTC${simulated ? ', SIMULATED' : ''}: ${count(reads.judged)} of ${count(reads.all)} reads by ${count(users.judged)} users judged${rate}; ${left}.`,
    `${measure === 'logLoss' ? 'Log-loss: lower is better. ' : ''}Brackets have 95 % bootstrap intervals by user; those of the gains hold together. A run scores ${count(users.scored)} users.`,
    ...(reads.unknownOutcome > 0 ? [unknown] : []),
    ...(users.effective < FEW_USERS ? [few] : []),
    ...notes,
  ];
}

/** Returns the name of a way of serving: `hybrid, 1d`. */
function policyName({ policy, cadenceMs }: Pick<PolicyFigures, 'policy' | 'cadenceMs'>): string {
  const name = { batch: 'batch-only', hybrid: 'hybrid', live: 'live-only' }[policy];
  return cadenceMs === null ? name : `${name}, ${formatDuration(cadenceMs)}`;
}

function policyTable(report: ValueReport): string[] {
  const columns = [
    'serving',
    measureOf(report),
    'better than live-only',
    right('batch inferences'),
    right('live inferences'),
    right('a read'),
  ];
  const rows = report.policies.map((one) => [
    policyName(one),
    estimateText(one.quality),
    changeText(one.againstLive),
    count(one.inferences.batch),
    count(one.inferences.live),
    figure(one.inferences.aRead),
  ]);
  return renderTable(columns, rows);
}

/** Renders the table of calibration; empty for lists. */
function chanceTable({ policies }: ValueReport): string[] {
  const rows = policies.flatMap((one) => {
    const { auc, calibration } = one;
    if (calibration === null) return [];
    const area = auc === null ? 'none: all outcomes are equal' : estimateText(auc);
    return [[policyName(one), area, changeText(calibration.bias), calibration.error.toFixed(4)]];
  });
  return rows.length === 0 ? [] : ['', ...renderTable(['serving', 'AUC', 'bias', 'calibration error'], rows)];
}

function ageTable(report: ValueReport): string[] {
  const ways = [
    { name: 'batch-only, all', byAge: report.batchByAge },
    ...report.policies
      .filter(({ policy }) => policy !== 'live')
      .map((one) => ({ name: policyName(one), byAge: one.byAge })),
  ];
  const rows = ways.flatMap(({ name, byAge }) =>
    byAge.map((figures, i) => [i === 0 ? name : '', ...ageCells(figures)]),
  );
  const columns = [
    'by age of context',
    'age',
    right('answers'),
    right('users'),
    measureOf(report),
    'better than live-only',
  ];
  return renderTable(columns, rows);
}

function ageCells({ fromMs, toMs, answers, users, quality, againstLive }: AgeFigures): string[] {
  const few = 'not enough users';
  return [
    ageText({ fromMs, toMs }),
    count(answers),
    count(users),
    quality ? estimateText(quality) : few,
    againstLive ? changeText(againstLive) : quality ? few : '',
  ];
}

/** Returns `under 1m`, `1m to 10m` or `7d and more`. */
export function ageText({ fromMs, toMs }: Pick<AgeFigures, 'fromMs' | 'toMs'>): string {
  if (toMs === null) return `${formatDuration(fromMs)} and more`;
  return fromMs === 0 ? `under ${formatDuration(toMs)}` : `${formatDuration(fromMs)} to ${formatDuration(toMs)}`;
}

function estimateText({ value, low, high }: Estimate): string {
  return Number.isNaN(low) ? value.toFixed(4) : `${value.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`;
}

function changeText({ value, low, high }: Estimate): string {
  const text = (number: number) => `${Math.round(number * 1e5) < 0 ? '−' : '+'}${Math.abs(number).toFixed(5)}`;
  return Number.isNaN(low) ? text(value) : `${text(value)} [${text(low)}, ${text(high)}]`;
}
