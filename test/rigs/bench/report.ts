/** Renders the figures as a table for readers, and writes them as a file for programs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Machine } from './machine.ts';
import type { BenchOptions, Figure } from './section.ts';

export interface SectionResult {
  readonly section: string;
  readonly seconds: number;
  readonly figures: readonly Figure[];
  /** The error that ended the measurement, or null. */
  readonly error: string | null;
}

export interface Report {
  readonly date: string;
  readonly commit: string | null;
  readonly machine: Machine;
  /** null if the sections take no options. */
  readonly options: BenchOptions | null;
  readonly sections: readonly SectionResult[];
}

/** Returns whether a figure meets its target, or null without a target. */
export function isMet({ value, target }: Figure): boolean | null {
  if (!target) return null;
  return 'least' in target ? value >= target.least : value <= target.most;
}

export async function writeReport(path: string, report: Report): Promise<void> {
  const judged = report.sections.map((one) => ({
    ...one,
    figures: one.figures.map((figure) => ({ ...figure, met: isMet(figure) })),
  }));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify({ ...report, sections: judged }, null, 2)}\n`);
}

/** Renders one line per figure, under the name of its section. */
export function renderTable({ machine, sections }: Report): string {
  const rows = sections.map((one) => ({ ...one, cells: one.figures.map(cellsOf) }));
  const heads = ['', 'value', '', 'target', '', 'rounds'];
  const all = [heads, ...rows.flatMap(({ cells }) => cells)];
  const widths = heads.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 1 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const { cpu, cores, memoryMb, node, postgres, redis, loadAtStart } = machine;
  return [
    `${cpu}, ${cores} cores, ${Math.round(memoryMb / 1024)} GB; Node ${node}, Postgres ${postgres}, Redis ${redis}; load at start ${loadAtStart}`,
    line(heads),
    ...rows.flatMap(({ section, seconds, error, cells }) => [
      `${section} (${Math.round(seconds)} s)${error === null ? '' : `: FAILED: ${error}`}`,
      ...cells.map(line),
    ]),
  ].join('\n');
}

function cellsOf(figure: Figure): string[] {
  const { name, value, unit, target, rounds = [] } = figure;
  const isSpread = rounds.length > 1;
  const spread = isSpread ? `${format(Math.min(...rounds))} to ${format(Math.max(...rounds))}` : '';
  const met = isMet(figure);
  return [
    `  ${name}`,
    format(value),
    unit === 'ratio' ? '×' : unit === 'count' ? '' : unit,
    target ? ('least' in target ? `≥ ${format(target.least)}` : `≤ ${format(target.most)}`) : '',
    met === null ? '' : met ? 'met' : 'NOT MET',
    spread,
  ];
}

/** Formats a value with three significant digits at most, except for larger integers. */
function format(value: number): string {
  if (!Number.isFinite(value)) return '?';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
