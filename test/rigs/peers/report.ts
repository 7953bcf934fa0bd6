/** The report of a run, which is written as JSON and as tables in docs/peers.md. */
import type { Machine } from '../bench/machine.ts';
import { median } from '../bench/section.ts';
import { CONNECTIONS, GOALS, type Goal, type Kind } from './contests.ts';
import type { ComparisonResult, ContestResult, Measured, WayResult } from './measure.ts';
import { type Interval, medianInterval } from './ratio-interval.ts';

export interface PeersReport {
  readonly date: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly python: string;
  readonly options: { readonly users: number; readonly rounds: number; readonly seconds: number };
  /** Maps a peer's title to its packages with their versions. */
  readonly versions: Readonly<Record<string, readonly string[]>>;
  readonly contests: readonly ContestResult[];
  /** Peers that were not measured, with the reason. */
  readonly leftOut: readonly string[];
}

const HEADINGS: Readonly<Record<Kind, string>> = {
  stored: 'Stored predictions',
  trees: 'Live: 200 boosted trees',
  dense: 'Live: a dense model of about 1 ms',
};

const BEGIN = '<!-- figures: begin, written by `npm run bench:peers` -->';
const END = '<!-- figures: end -->';

/** Returns the document with these figures between its markers. */
export function replaceFigures(document: string, report: PeersReport): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/peers.md has no lines "${BEGIN}" and "${END}" in this order`);
  return `${document.slice(0, from + BEGIN.length)}\n\n${renderFigures(report)}\n${document.slice(to)}`;
}

/** Returns the figures as Markdown. */
export function renderFigures(report: PeersReport): string {
  const { cpu, cores, memoryMb, node, postgres, redis, loadAtStart } = report.machine;
  const { users, rounds, seconds } = report.options;
  const versions = Object.entries(report.versions).map(([title, packages]) => `- ${title}: ${packages.join(', ')}.`);
  return [
    `Measured on ${report.date.slice(0, 10)}, commit ${report.commit?.slice(0, 8) ?? 'unknown'}: ${cpu}, ${cores} cores, ` +
      `${Math.round(memoryMb / 1024)} GB; Node ${node}, Python ${report.python}, Postgres ${postgres}, Redis ${redis}; ` +
      `load at start ${loadAtStart}. ${users.toLocaleString('en')} users, ${rounds} rounds of ${seconds} s.\n`,
    ...[...report.leftOut, ...report.contests.flatMap(({ failures }) => failures)].map(
      (line) => `Not measured: ${line}.\n`,
    ),
    `${versions.join('\n')}\n`,
    `### Goals\n\n${renderGoals(report)}\n`,
    ...report.contests.map(renderContest),
  ].join('\n');
}

function renderGoals({ contests }: PeersReport): string {
  const rows = GOALS.flatMap((goal) =>
    contests
      .filter(({ kind, workers }) => workers === 1 && goal.kinds.includes(kind))
      .flatMap(({ kind, comparisons }) =>
        comparisons
          .filter(({ connections }) => connections === CONNECTIONS)
          .flatMap((comparison) => goalRows(goal, kind, comparison)),
      ),
  );
  return table(['against', 'what', 'Tandem is better by', 'goal', ''], rows);
}

function goalRows({ way, least }: Goal, kind: Kind, { title, ways }: ComparisonResult): string[][] {
  const [tandem, other] = [ways[0], ways.find(({ name }) => name === way)];
  if (!tandem || !other) return [];
  const [, law = ''] = title.split(', ');
  const what = `${HEADINGS[kind]}${law && `, ${law}`}`;
  return [
    [way, `${what}: rate`, rateRatio(tandem, other)] as const,
    [way, `${what}: CPU a request`, cpuRatio(tandem, other)] as const,
  ].map(([against, of, ratio]) => [against, of, renderRatio(ratio), `≥ ${least}`, verdict(ratio, least)]);
}

function verdict({ low, high }: Interval, least: number): string {
  if (low >= least) return 'reached';
  return high < least ? '**missed**' : 'undecided';
}

function renderContest({ kind, workers, comparisons, memoryMb }: ContestResult): string {
  const count = workers === 1 ? 'one worker process' : `${workers} worker processes`;
  const memory = Object.entries(memoryMb).map(([title, mb]) => `${title} ${Math.round(mb)} MB`);
  const tables = comparisons.map(({ title, ways }) => `${title}:\n\n${renderWays(ways)}\n`);
  const [, ...peers] = Object.keys(memoryMb);
  return `### ${HEADINGS[kind]}, ${count}: ${peers.join(', ')}\n\n${tables.join('\n')}\nMemory: ${memory.join(', ')}.\n`;
}

function renderWays(ways: readonly WayResult[]): string {
  const [tandem] = ways;
  const heads = [
    'server',
    'requests/s',
    'p50, ms',
    'p99, ms',
    'CPU, µs',
    'stores, µs',
    'Tandem: rate',
    'Tandem: CPU, times less',
  ];
  const rows = ways.map((way) => {
    const of = (give: (one: Measured) => number) => format(median(way.rounds.map(give)));
    const isTandem = way === tandem || tandem === undefined;
    return [
      way.name,
      of((one) => one.requestsPerSecond),
      of((one) => one.p50Ms),
      of((one) => one.p99Ms),
      of((one) => one.cpuMicros),
      of((one) => one.storeMicros),
      isTandem ? '' : renderRatio(rateRatio(tandem, way)),
      isTandem ? '' : renderRatio(cpuRatio(tandem, way)),
    ];
  });
  return table(heads, rows);
}

/** Returns Tandem's rate divided by the other's. */
function rateRatio(tandem: WayResult, other: WayResult): Interval {
  return ratioOf(tandem, other, (one) => one.requestsPerSecond);
}

/** Returns the other's CPU per request divided by Tandem's. */
function cpuRatio(tandem: WayResult, other: WayResult): Interval {
  return ratioOf(other, tandem, (one) => one.cpuMicros);
}

/** Returns the interval of the ratios of a figure of two ways in the same round. */
function ratioOf(above: WayResult, below: WayResult, give: (one: Measured) => number): Interval {
  return medianInterval(above.rounds.map((one, i) => give(one) / give(below.rounds[i] as Measured)));
}

function renderRatio({ median: middle, low, high }: Interval): string {
  return `${format(middle)} × (${format(low)} to ${format(high)})`;
}

/** Returns a Markdown table whose columns are as wide as their widest cells. All except the first are aligned right. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => Math.max(3, head.length, ...rows.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}

/** Rounds to three significant digits. */
function format(value: number): string {
  if (!Number.isFinite(value)) return '?';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
