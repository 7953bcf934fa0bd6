/** Renders a value report as sentences. */

import { formatDuration } from '@tandem/wire/durations';
import type { Gain, PolicyFigures, ValueReport } from '../value-report.ts';

/** Returns the findings of the report: first the conclusion, then a sentence for each cadence. */
export function conclusionsOf(report: ValueReport): string[] {
  return [headline(report), ...report.gains.map((gain) => sentence(report, gain))];
}

function headline({ gains, simulated, users }: ValueReport): string {
  const [found] = VERDICTS.filter((kind) => gains.some(({ verdict }) => verdict === kind));
  if (found === undefined) {
    return `No finding: not enough users to distinguish a gain from chance. The reads of ${users.judged} users weigh like those of ${figure(users.effective, 3)} equally active users, and few of them may have different answers.`;
  }
  const of = (kind: Gain['verdict']) => gains.filter(({ verdict }) => verdict === kind);
  const told = VERDICTS.filter((kind) => of(kind).length > 0).map(
    (kind) => `${COMPARED[kind]} than batch-only ${everyOf(of(kind))}`,
  );
  const open = of('unknown').length > 0 ? ` There are not enough users for a finding ${everyOf(of('unknown'))}.` : '';
  const on = simulated ? 'on this simulated history' : 'on this history';
  const start = found === 'none' ? 'No significant gain' : `A ${SAID[found]}`;
  return `${start}: ${on}, live answers after events were ${told.join(', and ')}.${open}`;
}

/** Verdicts that are findings. The first of them that a report has begins its headline. */
const VERDICTS = ['gain', 'loss', 'none'] as const;

const COMPARED = { gain: 'better', loss: 'worse', none: 'not measurably better' } as const;

const SAID: Readonly<Record<Gain['verdict'], string>> = {
  gain: 'significant gain',
  none: 'no significant gain',
  loss: 'significant loss',
  unknown: 'not enough users',
};

function everyOf(gains: readonly Gain[]): string {
  return `every ${gains.map(({ cadenceMs }) => formatDuration(cadenceMs)).join(', ')}`;
}

function sentence(report: ValueReport, { cadenceMs, change, verdict, bounds }: Gain): string {
  const of = (kind: PolicyFigures['policy']) =>
    report.policies.find((one) => one.policy === kind && one.cadenceMs === cadenceMs);
  const [batch, hybrid] = [of('batch'), of('hybrid')];
  const said = SAID[verdict];
  const share = batch ? ` (${signed((100 * change.value) / batch.quality.value, 2)} %)` : '';
  const worst = bounds
    ? `; with any values of the unknown outcomes ${signed(bounds.low)} to ${signed(bounds.high)}`
    : '';
  const figures = `${measureOf(report)} better by ${signed(change.value)}${share}${intervalOf(change)}${worst}`;
  const spent = `${figure(hybrid?.inferences.aRead, 4)} inferences a read instead of ${figure(batch?.inferences.aRead, 4)}`;
  return `Hybrid against batch-only every ${formatDuration(cadenceMs)}: ${said}; ${figures}; ${spent}.`;
}

function intervalOf({ low, high }: Gain['change']): string {
  return Number.isNaN(low) ? '' : `, 95 % interval ${signed(low)} to ${signed(high)}`;
}

/** Returns the name of the measure. */
export function measureOf({ measure, top }: Pick<ValueReport, 'measure' | 'top'>): string {
  return measure === 'logLoss' ? 'log-loss' : `hit rate at ${top}`;
}

/** Returns a number with its sign and the given number of digits. */
export function signed(value: number, digits = 3): string {
  const text = figure(Math.abs(value), digits);
  return Number(text.replaceAll(',', '')) === 0 ? '0' : `${value < 0 ? '−' : '+'}${text}`;
}

/** Returns a number with the given number of significant digits: `1,230`, `0.0123`. */
export function figure(value = Number.NaN, digits = 3): string {
  if (!Number.isFinite(value)) return 'none';
  return value.toLocaleString('en-US', { maximumSignificantDigits: digits });
}
