/** Reports the result of a replay: a table in the terminal, and a picture. */
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { drawReplay, type Latencies } from './picture.ts';
import type { ReplayOptions, ReplayResult } from './replay-history.ts';
import { type OccasionResult, quantile, summarize } from './scorecard.ts';

export function reportReplay(result: ReplayResult, options: ReplayOptions) {
  const results = (['daily', 'after purchase'] as const)
    .map((occasion) => summarize(result.readings, occasion, options.seed))
    .filter(({ reads }) => reads > 0);
  const latencies: Latencies[] = [
    { label: 'batch', ...percentiles(result.latencies.batch) },
    { label: 'live', ...percentiles(result.latencies.live) },
  ].filter(({ p50 }) => Number.isFinite(p50));
  const title = `Shop replay ${options.from} to ${options.to}: ${result.readings.length.toLocaleString('en')} reads, ${result.purchases} purchases`;
  return {
    table: drawTable(results, latencies),
    svg: drawReplay({ title, days: result.days, latencies, results }),
    results,
  };
}

function percentiles(values: readonly number[]): { p50: number; p99: number } {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) };
}

function drawTable(results: readonly OccasionResult[], latencies: readonly Latencies[]): string {
  const shares = align([
    ['reads', 'count', 'batch', 'live', 'stale', 'default'],
    ...results.map(({ occasion, reads, shares: { batch, live, stale, default: fallback } }) => [
      occasion,
      reads.toLocaleString('en'),
      ...[batch, live, stale, fallback].map((share) => `${(share * 100).toFixed(2)} %`),
    ]),
  ]);
  const quality = align([
    ['log-loss', 'batch only', 'hybrid', 'change [95 % interval]', 'change where not batch'],
    ...results.map(({ occasion, batchLogLoss, logLoss, change, changeWhereLive }) => [
      occasion,
      batchLogLoss.toFixed(5),
      logLoss.toFixed(5),
      interval(change),
      changeWhereLive ? interval(changeWhereLive) : 'none',
    ]),
  ]);
  const times = align([
    ['single reads', 'p50', 'p99'],
    ...latencies.map(({ label, p50, p99 }) => [label, `${p50.toFixed(2)} ms`, `${p99.toFixed(2)} ms`]),
  ]);
  return [shares, quality, times].join('\n\n');
}

function interval({ value, low, high }: Estimate): string {
  const signed = (number: number) => `${number >= 0 ? '+' : ''}${number.toFixed(5)}`;
  return `${signed(value)} [${signed(low)}, ${signed(high)}]`;
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('   '),
    )
    .join('\n');
}
