/** A run's progress as text: one line that a terminal redraws, or a line for every tenth where nobody watches. */
import { count, duration } from './quantities.ts';

export interface Progress {
  readonly done: number;
  /** 0 while it is not known. */
  readonly total: number;
  readonly elapsedMs: number;
}

const BAR_WIDTH = 24;

/** `[############------------]  50 %  1,200/2,357 users  0.8 s`, at most `columns` wide. */
export function renderProgressBar({ done, total, elapsedMs }: Progress, unit: string, columns: number): string {
  const share = shareOf(done, total);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const text = `${bar} ${percent(share)}  ${count(done)}/${total === 0 ? '?' : count(total)} ${unit}  ${duration(elapsedMs)}`;
  return text.slice(0, Math.max(0, columns - 1));
}

/** The line for a step of ten percent, or undefined where no new one is reached since `lastTenth`. */
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
