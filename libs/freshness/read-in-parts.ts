/** Reads many users in parts, so that the process answers other reads in between. */
import type { ReadResult } from './answer.ts';
import type { PredictionReader } from './reader.ts';
import { Turnstile } from './turnstile.ts';

/**
 * How parts are read: the most users of a part, and how many parts of all reads run at once. A part of 50 users takes the
 * event loop about half a millisecond.
 */
interface Pace {
  readonly users: number;
  readonly atOnce: number;
}

/** Fewer, larger parts cost less CPU for each user. */
const ALONE: Pace = { users: 100, atOnce: 3 };
/** While reads of few users arrive, whose slowest of a hundred waits for about two parts. */
const BESIDE_SMALL_READS: Pace = { users: 50, atOnce: 1 };
/** How long after a read of few users another is expected. */
const SMALL_READS_MS = 100;
/** The milliseconds for which a part keeps others waiting. A part that infers takes longer. */
const TURN_MS = 20;

/** Returns the reader, for which each part of a large read is a read of its own. A call with features stays whole. */
export function inParts(read: PredictionReader, now = () => performance.now()): PredictionReader {
  let smallAt = Number.NEGATIVE_INFINITY;
  const pace = () => (now() - smallAt < SMALL_READS_MS ? BESIDE_SMALL_READS : ALONE);
  const turnstile = new Turnstile(() => pace().atOnce, TURN_MS);
  return async (predictorName, userIds, options, times) => {
    if (userIds.length <= ALONE.users || options.request) {
      smallAt = now();
      return read(predictorName, userIds, options, times);
    }
    const distinct = [...new Set(userIds)];
    const ofPart = { ...options, isPart: true };
    const byUser = new Map<string, ReadResult>();
    let next = 0;
    async function readParts(): Promise<void> {
      while (next < distinct.length) {
        await turnstile.pass(async () => {
          const part = distinct.slice(next, next + pace().users);
          next += part.length;
          if (part.length === 0) return;
          const results = await read(predictorName, part, ofPart, times);
          for (const [i, result] of results.entries()) byUser.set(part[i] as string, result);
        });
      }
    }
    await Promise.all(Array.from({ length: ALONE.atOnce }, readParts));
    return userIds.map((userId) => byUser.get(userId) as ReadResult);
  };
}
