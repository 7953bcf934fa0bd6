/** Reads many users in parts, so that the process answers other reads in between. */
import type { ReadResult } from './answer.ts';
import type { PredictionReader } from './reader.ts';
import { Turnstile } from './turnstile.ts';

/** How parts are read: the most users of a part, how many parts of all reads run at once, and whether the process rests between them. */
interface Pace {
  readonly users: number;
  readonly atOnce: number;
  readonly rests: boolean;
}

/** Fewer, larger parts cost less CPU for each user. */
const ALONE: Pace = { users: 100, atOnce: 3, rests: false };
/**
 * A part of 50 users takes the event loop about half a millisecond, for which a small read waits. The rest after each part
 * leaves half of the loop to other reads. Bulk reads are then a third slower where CPU limits them, and to a fifth of their
 * rate where each part waits 5 ms for a remote Postgres.
 */
const BESIDE_SMALL_READS: Pace = { users: 50, atOnce: 1, rests: true };
/** How long after a read of few users another is expected. */
const SMALL_READS_MS = 100;
/** The milliseconds for which a part and its rest keep others waiting. A part that infers takes longer. */
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
        else if (pace().rests) await rest(active() - activeBefore);
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
