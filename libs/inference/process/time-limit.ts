/**
 * Limits the time of a child for one answer. If the answer decides about a model, CPU time counts: the model is at
 * fault if it takes too much, and the machine if the child gets too little. Wall time is the final limit.
 */

import { TandemError } from '@tandem/freshness/errors';
import { readCpuMs } from './process-usage.ts';

export interface TimeLimit {
  /** The most CPU time of the child for this answer, in ms; infinite if only wall time counts. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** The reason for the end of the time: the child took too long, or the machine gave it too little CPU. */
export interface TimeUp {
  readonly why: 'deadline' | 'starved';
  readonly how: string;
  /** CPU time that the child took for the answer, unless the system does not report it. */
  readonly cpuMs?: number;
}

/** The limit of wall time as a multiple of the CPU limit, so that 10 % of a processor is enough. */
const PATIENCE = 10;
/**
 * The least limit of wall time for a child with a short CPU limit. On a busy machine, it may get only 3 % of a
 * processor.
 */
const LEAST_WALL_MS = 30_000;
/** The shortest interval between checks of the child's CPU time, which the system counts in steps of 10 ms. */
const LEAST_WAIT_MS = 50;
/** The time by which a timer may fire too early, in ms. */
const TIMER_EARLY_MS = 1;
/** Seconds after which a busy machine may be less busy. */
const BUSY_RETRY_SECONDS = 30;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Returns a limit on CPU time, with a limit on wall time for a child that gets almost none. */
export function cpuLimit(cpuMs: number, wallMs: number = Math.max(LEAST_WALL_MS, cpuMs * PATIENCE)): TimeLimit {
  return { cpuMs, wallMs };
}

/** Returns a limit on wall time only, for an answer that a reader waits for. */
export function wallLimit(wallMs: number): TimeLimit {
  return { cpuMs: Number.POSITIVE_INFINITY, wallMs };
}

/** The child that is timed. */
interface TimedChild {
  readonly pid: number | undefined;
  /** The child's CPU time before the call, in ms. */
  readonly cpuMs: number;
}

/** Calls `onUp` once when the time is up. Returns a function that stops the watch. */
export function watchTime(child: TimedChild, limit: TimeLimit, onUp: (up: TimeUp) => void): () => void {
  const begin = performance.now();
  let isOver = false;
  let timer = setTimeout(look, waitFor(Math.min(limit.cpuMs, limit.wallMs)));

  async function look(): Promise<void> {
    const usedMs = await cpuSince(child);
    if (isOver) return;
    const spentMs = performance.now() - begin;
    const up = timeUp(limit, { usedMs, spentMs });
    if (up) return onUp(up);
    const leftMs = Math.min(limit.cpuMs - (usedMs ?? spentMs), limit.wallMs - spentMs);
    timer = setTimeout(look, waitFor(Math.max(LEAST_WAIT_MS, leftMs)));
  }

  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Returns the CPU time since the call; null if the system does not report it. */
async function cpuSince({ pid, cpuMs }: TimedChild): Promise<number | null> {
  if (pid === undefined) return null;
  const now = await readCpuMs(pid);
  return now === null ? null : Math.max(0, now - cpuMs);
}

/**
 * Returns the reason if the time is up.
 * @param spent CPU time and wall time so far, in ms. If CPU time is null or has no limit, wall time is used instead
 */
function timeUp(
  { cpuMs, wallMs }: TimeLimit,
  { usedMs, spentMs }: { readonly usedMs: number | null; readonly spentMs: number },
): TimeUp | null {
  if (usedMs !== null && usedMs >= cpuMs) {
    return { why: 'deadline', how: `no answer within ${Math.round(cpuMs)} ms of CPU time`, cpuMs: usedMs };
  }
  const isWallOnly = usedMs === null || !Number.isFinite(cpuMs);
  const limitMs = isWallOnly ? Math.min(cpuMs, wallMs) : wallMs;
  if (spentMs < limitMs - TIMER_EARLY_MS) return null;
  if (isWallOnly) {
    return {
      why: 'deadline',
      how: `no answer within ${Math.round(limitMs)} ms`,
      ...(usedMs !== null && { cpuMs: usedMs }),
    };
  }
  return { why: 'starved', how: starvedText(usedMs, spentMs), cpuMs: usedMs };
}

/**
 * Returns the error of work that the machine delayed. The same work may succeed later.
 * @param how a text such as `starvedText`
 */
export function machineBusy(how: string, cause?: unknown): TandemError {
  return new TandemError('overloaded', `the inference process ${how}`, {
    remedy: 'retry when the machine is less busy, or give it more CPU; this says nothing about the model',
    retryAfter: BUSY_RETRY_SECONDS,
    cause,
  });
}

/** Returns the text for a child, or work, with too little CPU from the machine. */
export function starvedText(usedMs: number, spentMs: number): string {
  return `got ${seconds(usedMs)} s of CPU in ${seconds(spentMs)} s: the machine is busy`;
}

function seconds(ms: number): string {
  return `${Number((ms / 1_000).toPrecision(2))}`;
}

function waitFor(ms: number): number {
  return Math.min(ms, LONGEST_TIMER_MS);
}
