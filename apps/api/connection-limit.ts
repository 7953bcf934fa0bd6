/**
 * Computes how many connections a process can hold: fewer than its limit of open files, since Postgres, Redis and the
 * inference children need files too. Without a spare one even a new child could not start.
 */
import { readFileSync } from 'node:fs';

/** The limit for any number of files. */
const MOST = 4_096;
const LEAST = 4;
/** With fewer connections than this, waiting requests would occupy a large share of them. */
const FEW = 256;
/** Files other than connections and children's files: 40 to Postgres, 6 to Redis, and about 30 of Node itself. */
const OTHER_FILES = 77;
const FILES_A_CHILD = 5;
/** Children that do not serve the stable version: a replacement, a rollout, a trial, a shadow and a replay. */
const OTHER_CHILDREN = 5;

/**
 * @param children that serve models
 * @param limits as in `/proc/<pid>/limits`; without that file, as on other systems, the limit is unknown
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
 * The most users that may wait for a live answer. With few connections, waiting requests must leave some to requests
 * that can be answered at once, and to probes.
 */
export function liveQueueLimit(limit: number, connections: number): number {
  return connections === MOST ? limit : Math.min(limit, Math.max(1, connections >> 2));
}

/**
 * How many ms rejections may wait for each other; undefined: as long as costs least. With few connections, each waiting
 * rejection takes the place of a request that could be answered.
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
