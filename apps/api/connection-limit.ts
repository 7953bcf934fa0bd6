/**
 * How many connections a process can hold: fewer than it may have files open, since Postgres, Redis and the inference
 * children need theirs, and without one left even a new child could not be started.
 */
import { readFileSync } from 'node:fs';

/** However many files there may be. */
const MOST = 4_096;
const LEAST = 4;
/** Of which those would be a good part that wait for a moment. */
const FEW = 256;
/** Files beside the connections and the children's: 40 to Postgres, 6 to Redis, and some 30 of Node itself. */
const OTHER_FILES = 77;
const FILES_A_CHILD = 5;
/** Beside those that serve: one that is to take another's place, and those of a rollout, a trial, a shadow and a replay. */
const OTHER_CHILDREN = 5;

/**
 * @param children that serve models
 * @param limits as in `/proc/<pid>/limits`; without that file, as on other systems, nothing is known
 */
export function connectionLimit(children = 1, limits = readLimits()): number {
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (files === undefined) return MOST;
  return Math.min(MOST, Math.max(LEAST, Number(files) - OTHER_FILES - (children + OTHER_CHILDREN) * FILES_A_CHILD));
}

/** Returns how many of the process's connections gRPC gets: few, because each carries many calls. */
export function grpcConnectionLimit(connections: number): number {
  return Math.max(1, Math.min(FEW, connections >> 2));
}

/**
 * Users that may wait for a live answer. Where connections are few, those who wait must leave some to whoever can be
 * answered at once, and to probes.
 */
export function liveQueueLimit(limit: number, connections: number): number {
  return connections === MOST ? limit : Math.min(limit, Math.max(1, connections >> 2));
}

/**
 * For how many ms refusals may wait for each other; undefined: for as long as costs least. Where connections are few, each
 * that waits takes the place of somebody who could be answered.
 */
export function refusalPatience(connections: number): number | undefined {
  return connections < FEW ? 0 : undefined;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
