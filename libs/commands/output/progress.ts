/**
 * Shows progress on standard error, because standard output is for the result. A terminal gets a bar that is redrawn;
 * otherwise there is a line for every tenth. A step that takes long gets a line.
 */
import type { ReportProgress } from '@tandem/admission/report-progress';
import type { Cli, Output } from '../command.ts';
import { count, duration } from './text.ts';

interface ProgressDisplay {
  update(progress: Progress): void;
  /** Removes the bar, so that the next line is printed alone. */
  end(): void;
}

const REDRAW_EVERY_MS = 80;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * Creates a display of progress.
 * @param label the text before each line
 */
export function createProgressDisplay(cli: Cli, unit: string, label = ''): ProgressDisplay {
  return cli.stderr.isTTY === true ? createBar(cli, unit, label) : createLines(cli, unit, label);
}

function createBar({ stderr, now }: Cli, unit: string, label: string): ProgressDisplay {
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    update: (progress) => {
      const isWhole = progress.total > 0 && progress.done >= progress.total;
      if (!isWhole && now() - drawnAt < REDRAW_EVERY_MS) return;
      drawnAt = now();
      stderr.write(CLEAR_LINE + label + renderProgressBar(progress, unit, (stderr.columns || 80) - label.length));
    },
    end: () => {
      if (Number.isFinite(drawnAt)) stderr.write(CLEAR_LINE);
    },
  };
}

function createLines({ stderr }: Cli, unit: string, label: string): ProgressDisplay {
  let lastTenth = 0;
  return {
    update: (progress) => {
      const tenth = nextTenth(progress, lastTenth);
      if (tenth === undefined) return;
      lastTenth = tenth;
      stderr.write(`${label}${renderTenth(progress, tenth, unit)}\n`);
    },
    end: () => undefined,
  };
}

interface Progress {
  readonly done: number;
  /** The total; 0 while it is unknown. */
  readonly total: number;
  readonly elapsedMs: number;
}

const BAR_WIDTH = 24;

/** Renders `[############------------]  50 %  1,200/2,357 users  0.8 s`, at most `columns` wide. */
export function renderProgressBar({ done, total, elapsedMs }: Progress, unit: string, columns: number): string {
  const share = shareOf(done, total);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const text = `${bar} ${percent(share)}  ${count(done)}/${total === 0 ? '?' : count(total)} ${unit}  ${duration(elapsedMs)}`;
  return text.slice(0, Math.max(0, columns - 1));
}

/** Returns the line for a step of ten percent; undefined if no new step was reached since `lastTenth`. */
export function nextTenth({ done, total }: Progress, lastTenth: number): number | undefined {
  if (total === 0) return undefined;
  const tenth = Math.floor(shareOf(done, total) * 10);
  return tenth > lastTenth ? tenth : undefined;
}

export function renderTenth({ done, total, elapsedMs }: Progress, tenth: number, unit: string): string {
  return `${percent(tenth / 10)}  ${count(done)}/${count(total)} ${unit}  ${duration(elapsedMs)}`;
}

function shareOf(done: number, total: number): number {
  return total === 0 ? 0 : Math.min(1, done / total);
}

function percent(share: number): string {
  return `${String(Math.floor(share * 100)).padStart(3)} %`;
}

const PATIENCE_MS = 3_000;

/**
 * Returns a reporter that prints a line for each step that takes more than a few seconds, so that users see what the
 * command waits for.
 */
export function createProgressReporter(stderr: Output): ReportProgress {
  return async (name, work) => {
    const timer = setTimeout(() => stderr.write(`still ${name} …\n`), PATIENCE_MS);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  };
}
