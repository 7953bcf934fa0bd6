/**
 * Computes how many connections a process can have: fewer than its limit of open files, because Postgres, Redis and the
 * inference children need files too. Without a spare file, not even a new child could start.
 */
import { readFileSync } from 'node:fs';

/** The most connections, for any limit of open files. */
const MOST = 4_096;
const LEAST = 4;
/** The number of connections below which waiting requests would occupy a large share of them. */
const FEW = 256;
/**
 * Files that are neither client connections nor those of children: 40 for Postgres, 6 for Redis, and about 30 for
 * Node.js.
 */
const OTHER_FILES = 77;
const FILES_A_CHILD = 5;
/** Children in addition to those of the stable version: a replacement, a rollout, a trial, a shadow and a replay. */
const OTHER_CHILDREN = 5;

/**
 * Returns the most connections of this process.
 * @param children the number of children that serve models
 * @param limits the text of `/proc/<pid>/limits`; empty on systems without that file, where the limit is unknown
 */
export function connectionLimit(children = 1, limits = readLimits()): number {
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (files === undefined) return MOST;
  return Math.min(MOST, Math.max(LEAST, Number(files) - OTHER_FILES - (children + OTHER_CHILDREN) * FILES_A_CHILD));
}

/**
 * Returns the most users that may wait for a live answer. If the process has few connections, waiting requests must
 * leave some for probes and for requests that can be answered at once.
 */
export function liveQueueLimit(limit: number, connections: number): number {
  return connections === MOST ? limit : Math.min(limit, Math.max(1, connections >> 2));
}

/**
 * Returns the milliseconds for which rejections may wait so that they are sent together; undefined: the default. If the
 * process has few connections, a waiting rejection takes the place of a request that could be answered.
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
