/** Renders the report of a shadow: users and segments, differences as bars, and the cost of the candidate. */

import {
  ago,
  count,
  counted,
  duration,
  printable,
  renderFields,
  renderTable,
  right,
} from '@tandem/commands/output/text';
import type { ShadowComparisons } from '../client.ts';
import type { ShadowReport } from '../wire-types.ts';

/** The number of characters of the longest bar. */
const BAR_WIDTH = 40;
/** The most movers that are shown; `--json` has all. */
const MOVERS = 10;

/**
 * Renders the report of a shadow.
 * @param now the time in ms since 1970
 */
export function renderShadowReport(report: ShadowReport, now: number): string[] {
  return [
    ...renderFields(headOf(report, now)),
    '',
    ...renderOutcomes(report),
    '',
    ...renderSegments(report),
    ...block('candidate minus served', renderDeltas(report.everybody)),
    ...block('furthest apart', renderMovers(report)),
  ];
}

function headOf(report: ShadowReport, now: number): [string, string | null][] {
  const { predictor, modelVersion, share, state, processes, updatedAt, decision, servedAgeSeconds, candidate } = report;
  const { cpuMsPerThousand, processesEnded } = candidate;
  return [
    ['predictor', printable(predictor)],
    ['candidate', `model version ${modelVersion}, for ${percent(share)} of the users, ${state}`],
    ['reported', `${ago(updatedAt, now)} by ${counted(processes, 'process', 'processes')}`],
    ['decision', decision ? `${printable(decision.output)} ≥ ${decision.threshold}` : 'none declared'],
    ['served', servedAgeSeconds === null ? null : `${duration(servedAgeSeconds * 1_000)} old on average`],
    ['CPU', cpuMsPerThousand === null ? 'not run yet' : `${cpuMsPerThousand.toFixed(1)} ms for 1,000 users`],
    ['run', medianOf(candidate.runMs)],
    ['features', medianOf(candidate.featuresMs)],
    ['ended', processesEnded === 0 ? null : `${count(processesEnded)} of its processes`],
  ];
}

function renderOutcomes({ outcomes }: ShadowReport): string[] {
  const rows = Object.entries(outcomes).filter(([, answers]) => answers > 0);
  return renderTable(
    ['served answers', right('')],
    rows.sort(([, one], [, other]) => other - one).map(([outcome, answers]) => [outcome, count(answers)]),
  );
}

function renderSegments({ everybody, segments }: ShadowReport): string[] {
  const columns = ['compared', 'differ', 'mean', 'deviation', 'largest', 'flips', '↑', '↓', '95 %'].map(right);
  const rows = segments.map(({ feature, value, ...found }) => [
    printable(value === null ? `${feature}: all others` : `${feature} = ${value}`),
    ...cellsOf(found),
  ]);
  return renderTable(['users', ...columns], [['all users', ...cellsOf(everybody)], ...rows]);
}

function cellsOf({ compared, differentShare, meanDelta, deviation, largestDelta, flips }: ShadowComparisons): string[] {
  const numbers = [meanDelta, deviation, largestDelta].map((value) => (value === null ? '' : value.toPrecision(3)));
  const decisions = flips
    ? [percent(flips.rate), count(flips.up), count(flips.down), range(flips.interval)]
    : ['', '', '', ''];
  return [count(compared), percent(differentShare), ...numbers, ...decisions];
}

/** Renders a line for each class with a bar for its number of answers; empty if nothing was compared. */
function renderDeltas({ deltas }: ShadowComparisons): string[] {
  const most = Math.max(0, ...deltas.map(({ answers }) => answers));
  const rows = deltas.map(({ from, to, answers }) => [
    from === null ? '' : String(from),
    from === null || to === null ? '…' : 'to',
    to === null ? '' : String(to),
    count(answers),
    // A value above zero is always visible.
    answers === 0 ? '' : '█'.repeat(Math.max(1, Math.round((answers / most) * BAR_WIDTH))),
  ]);
  return rows.length === 0 ? [] : renderTable([right(''), '', right(''), right(''), ''], rows).slice(1);
}

function renderMovers({ movers }: ShadowReport): string[] {
  if (movers.length === 0) return [];
  return renderTable(
    ['user', right('served'), right('candidate')],
    movers
      .slice(0, MOVERS)
      .map(({ userId, served, candidate }) => [printable(userId), String(served), String(candidate)]),
  );
}

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

/** Returns the class of the median user. */
function medianOf(classes: ShadowReport['candidate']['runMs']): string {
  const total = classes.reduce((sum, { users }) => sum + users, 0);
  let seen = 0;
  for (const [i, { toMs, users }] of classes.entries()) {
    seen += users;
    if (total === 0 || seen * 2 < total) continue;
    return toMs === null
      ? `half of the users above ${classes[i - 1]?.toMs ?? 0} ms`
      : `half of the users within ${toMs} ms`;
  }
  return 'not run yet';
}

function percent(share: number | null): string {
  return share === null ? '' : `${Number((share * 100).toPrecision(3))} %`;
}

function range({ low, high }: { readonly low: number; readonly high: number }): string {
  return `${percent(low)} … ${percent(high)}`;
}
