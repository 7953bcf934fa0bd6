/** Reads many users in parts, so that the process answers other reads in between. */
import type { ReadResult } from './answer.ts';
import type { PredictionReader } from './reader.ts';
import { Turnstile } from './turnstile.ts';

/** The most users of a part. They take the event loop about 1 ms. */
const USERS_A_PART = 100;
/** How many parts of all reads run at once. */
const PARTS_AT_ONCE = 3;
/** The milliseconds for which a part keeps others waiting. A part that infers takes longer. */
const TURN_MS = 20;

/** Returns the reader, for which each part of a large read is a read of its own. A call with features stays whole. */
export function inParts(read: PredictionReader): PredictionReader {
  const turnstile = new Turnstile(PARTS_AT_ONCE, TURN_MS);
  return async (predictorName, userIds, options, times) => {
    if (userIds.length <= USERS_A_PART || options.request) return read(predictorName, userIds, options, times);
    const distinct = [...new Set(userIds)];
    const ofPart = { ...options, isPart: true };
    const parts = Array.from({ length: Math.ceil(distinct.length / USERS_A_PART) }, (_, i) => {
      const part = distinct.slice(i * USERS_A_PART, (i + 1) * USERS_A_PART);
      return turnstile.pass(() => read(predictorName, part, ofPart, times));
    });
    const results = (await Promise.all(parts)).flat();
    if (distinct.length === userIds.length) return results;
    const byUser = new Map(distinct.map((userId, i) => [userId, results[i] as ReadResult]));
    return userIds.map((userId) => byUser.get(userId) as ReadResult);
  };
}
