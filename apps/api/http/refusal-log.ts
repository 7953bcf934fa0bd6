/**
 * Which refused requests have a line in the log. Metrics count each; a line each would take the time of those who can be
 * answered where refusals come by the thousand, all alike.
 */
import { TokenBucket } from '@tandem/prediction/keys/token-bucket';
import type { ProblemCode } from './problem.ts';

/** Whether this one is logged. @param keyId of the key that it was sent with, where that is known */
export type RefusalLog = (code: ProblemCode, keyId: unknown) => boolean;

interface RefusalLogOptions {
  /** The share that is logged of those that are one of many, 0 to 1. */
  readonly logShare: number;
  readonly random: () => number;
  readonly clock?: () => number;
}

/** Too much is asked, by everybody or by one key. */
const ONE_OF_MANY: ReadonlySet<ProblemCode> = new Set(['overloaded', 'rate_limited']);
/** What strangers can have as often as they like. */
const OF_STRANGERS: readonly ProblemCode[] = ['unauthorized', 'forbidden'];
const STRANGERS_PER_SECOND = 10;
/** How often a key over its limit is named for certain. */
const NAMED_EVERY_MS = 60_000;
/** As many as there can be keys. */
const MOST_NAMED = 10_000;

export function isOneOfMany(code: ProblemCode): boolean {
  return ONE_OF_MANY.has(code);
}

export function createRefusalLog({ logShare, random, clock = () => performance.now() }: RefusalLogOptions): RefusalLog {
  const strangers = new Map(OF_STRANGERS.map((code) => [code, new TokenBucket(STRANGERS_PER_SECOND, clock)]));
  const namedAt = new Map<unknown, number>();

  function isNamedFirst(keyId: unknown): boolean {
    const now = clock();
    if (now - (namedAt.get(keyId) ?? Number.NEGATIVE_INFINITY) < NAMED_EVERY_MS) return false;
    if (namedAt.size >= MOST_NAMED) namedAt.clear();
    namedAt.set(keyId, now);
    return true;
  }

  return function isLogged(code, keyId) {
    if (code === 'rate_limited' && keyId !== undefined && isNamedFirst(keyId)) return true;
    const bucket = strangers.get(code);
    if (!bucket && !isOneOfMany(code)) return true;
    return bucket?.take(1) === 1 || random() < logShare;
  };
}
