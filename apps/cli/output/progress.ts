/** Draws progress on standard error, so that standard output stays the result's. */
import type { Cli } from '../command-line/cli.ts';
import { nextTenth, type Progress, renderProgressBar, renderTenth } from './progress-bar.ts';

export interface ProgressDisplay {
  update(progress: Progress): void;
  /** Takes the bar away, so that the next line stands alone. */
  end(): void;
}

const REDRAW_EVERY_MS = 80;
const CLEAR_LINE = '\r\u001b[2K';

/** @param label what stands before each line */
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
