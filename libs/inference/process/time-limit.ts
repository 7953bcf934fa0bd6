/**
 * How long a child may take for one answer. Where the answer decides about a model, CPU time counts: the model is at
 * fault if it takes too much of it, and the machine if the child gets too little. Wall time is the last bound.
 */

import { TandemError } from '@tandem/freshness/errors';
import { readCpuMs } from './process-usage.ts';

export interface TimeLimit {
  /** CPU time of the child for this answer, in ms; infinite: wall time alone counts. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Why time is up: the child took too long, or the machine did not let it work. */
export interface TimeUp {
  readonly why: 'deadline' | 'starved';
  readonly how: string;
  /** CPU time that the child took for the answer, if that decided. */
  readonly cpuMs?: number;
}

/** How many times its CPU limit a child may take in wall time: 10 % of a processor is enough for it. */
const PATIENCE = 10;
/** A child with a short limit has so much wall time at least: on a machine with much to do it may get 3 % of a processor. */
const LEAST_WALL_MS = 30_000;
/** The shortest wait between two looks at the child's CPU time, which the system counts in steps of 10 ms. */
const LEAST_WAIT_MS = 50;
/** A timer may fire so much before its time. */
const TIMER_EARLY_MS = 1;
/** Seconds after which a busy machine may have less to do. */
const BUSY_RETRY_SECONDS = 30;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A limit on CPU time, with a wall limit for a child that gets next to none. */
export function cpuLimit(cpuMs: number, wallMs: number = Math.max(LEAST_WALL_MS, cpuMs * PATIENCE)): TimeLimit {
  return { cpuMs, wallMs };
}

/** A limit on wall time alone, for an answer that a reader waits for. */
export function wallLimit(wallMs: number): TimeLimit {
  return { cpuMs: Number.POSITIVE_INFINITY, wallMs };
}

/** The child that is timed. */
interface TimedChild {
  readonly pid: number | undefined;
  /** The child's CPU time before the call, in ms. */
  readonly cpuMs: number;
}

/**
 * Calls `onUp` once, when the time is up, unless it is stopped before.
 * @returns stops the watch
 */
export function watchTime(child: TimedChild, limit: TimeLimit, onUp: (up: TimeUp) => void): () => void {
  const begin = performance.now();
  let isOver = false;
  let timer = setTimeout(look, waitFor(Math.min(limit.cpuMs, limit.wallMs)));

  async function look(): Promise<void> {
    const usedMs = await cpuSince(child, limit);
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

/** Null if only wall time counts, or the system does not report it. */
async function cpuSince({ pid, cpuMs }: TimedChild, limit: TimeLimit): Promise<number | null> {
  if (pid === undefined || !Number.isFinite(limit.cpuMs)) return null;
  const now = await readCpuMs(pid);
  return now === null ? null : Math.max(0, now - cpuMs);
}

/** @param spent CPU time (null: unknown, then wall time counts in its place) and wall time so far, in ms */
function timeUp(
  { cpuMs, wallMs }: TimeLimit,
  { usedMs, spentMs }: { readonly usedMs: number | null; readonly spentMs: number },
): TimeUp | null {
  if (usedMs !== null && usedMs >= cpuMs) {
    return { why: 'deadline', how: `no answer within ${Math.round(cpuMs)} ms of CPU time`, cpuMs: usedMs };
  }
  if (usedMs === null && spentMs >= Math.min(cpuMs, wallMs) - TIMER_EARLY_MS) {
    return { why: 'deadline', how: `no answer within ${Math.round(Math.min(cpuMs, wallMs))} ms` };
  }
  if (usedMs === null || spentMs < wallMs - TIMER_EARLY_MS) return null;
  return { why: 'starved', how: starvedText(usedMs, spentMs) };
}

/**
 * Returns the error of work that the machine delayed; the same work may succeed later. @param how such as `starvedText`
 */
export function machineBusy(how: string, cause?: unknown): TandemError {
  return new TandemError('overloaded', `the inference process ${how}`, {
    remedy: 'try again when the machine has less to do, or give it more CPU; this says nothing about the model',
    retryAfter: BUSY_RETRY_SECONDS,
    cause,
  });
}

/** How a child ended, or its work, that the machine gave too little CPU. */
export function starvedText(usedMs: number, spentMs: number): string {
  return `got ${seconds(usedMs)} s of CPU in ${seconds(spentMs)} s: the machine is busy`;
}

function seconds(ms: number): string {
  return `${Number((ms / 1_000).toPrecision(2))}`;
}

function waitFor(ms: number): number {
  return Math.min(ms, LONGEST_TIMER_MS);
}
