/** Reads many users in parts, so that the process answers other reads in between. */
import type { ReadResult } from './answer.ts';
import type { PredictionReader } from './reader.ts';
import { Turnstile } from './turnstile.ts';

interface Pace {
  /** The most users of a part. */
  readonly users: number;
  /** How many parts of all reads run at once. */
  readonly atOnce: number;
  /** Whether no part begins for as long as the event loop was active during the last one. */
  readonly rests: boolean;
}

/** Fewer, larger parts cost less CPU for each user. */
const ALONE: Pace = { users: 100, atOnce: 3, rests: false };
/**
 * A part of 50 users takes the event loop about half a millisecond, for which a small read waits. The rest after each part
 * leaves half of the event loop to other reads. Bulk reads then lose about a third of their rate if CPU limits them. They
 * lose five sixths if each part waits 5 ms for a remote Postgres (simulated).
 */
const BESIDE_SMALL_READS: Pace = { users: 50, atOnce: 1, rests: true };
/** How long after a read of few users another is expected. */
const SMALL_READS_MS = 100;
/**
 * The most milliseconds for which a part with its rest keeps other parts waiting, and the longest rest. A part that infers
 * takes longer.
 */
const TURN_MS = 20;

interface Clocks {
  /** Milliseconds since some moment. */
  readonly now: () => number;
  /** Milliseconds in which the event loop was active. */
  readonly active: () => number;
}

const CLOCKS: Clocks = {
  now: () => performance.now(),
  active: () => performance.eventLoopUtilization().active,
};

/** Returns the reader, for which each part of a large read is a read of its own. A call with features stays whole. */
export function inParts(read: PredictionReader, { now, active } = CLOCKS): PredictionReader {
  let smallAt = Number.NEGATIVE_INFINITY;
  const pace = () => (now() - smallAt < SMALL_READS_MS ? BESIDE_SMALL_READS : ALONE);
  const turnstile = new Turnstile(() => pace().atOnce, TURN_MS);

  return async (predictorName, userIds, options, times) => {
    if (userIds.length <= ALONE.users) smallAt = now();
    if (userIds.length <= ALONE.users || options.request) return read(predictorName, userIds, options, times);
    const distinct = [...new Set(userIds)];
    const ofPart = { ...options, isPart: true };
    const byUser = new Map<string, ReadResult>();
    let next = 0;
    await new Promise<void>((resolve, reject) => {
      async function readPart(): Promise<void> {
        const part = distinct.slice(next, next + pace().users);
        next += part.length;
        if (part.length === 0) return;
        const activeBefore = active();
        const results = await read(predictorName, part, ofPart, times);
        for (const [i, result] of results.entries()) byUser.set(part[i] as string, result);
        if (byUser.size === distinct.length) resolve();
        else if (pace().rests) await rest(Math.min(active() - activeBefore, TURN_MS));
      }
      async function readParts(): Promise<void> {
        while (next < distinct.length) await turnstile.pass(readPart);
      }
      for (let i = 0; i < ALONE.atOnce; i++) {
        readParts().catch((error) => {
          next = distinct.length;
          reject(error);
        });
      }
    });
    return userIds.map((userId) => byUser.get(userId) as ReadResult);
  };
}

const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
