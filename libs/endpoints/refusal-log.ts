/**
 * Decides which rejected requests are logged. Metrics count all of them. If there are thousands of equal rejections, a
 * line for each would delay requests that can be answered.
 */
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TokenBucket } from '@tandem/prediction/keys/token-bucket';

/**
 * Returns whether to log this rejection.
 * @param keyId of the request's key, if known
 */
export type RefusalLog = (code: ErrorCode, keyId: unknown) => boolean;

interface RefusalLogOptions {
  /** Share of frequent rejections that are logged, 0 to 1. */
  readonly logShare: number;
  readonly random: () => number;
  readonly clock?: () => number;
}

/** Rejections of too many requests, in total or of one key, and requests whose callers have disconnected. */
const ONE_OF_MANY: ReadonlySet<ErrorCode> = new Set(['overloaded', 'rate_limited', 'caller_gone']);
/** Rejections that clients without a key can cause at any rate. */
const OF_STRANGERS: readonly ErrorCode[] = ['unauthorized', 'forbidden'];
const STRANGERS_PER_SECOND = 10;
/** Milliseconds after which a key above its limit is logged again, whatever the share. */
const NAMED_EVERY_MS = 60_000;
/** The most keys that can exist. */
const MOST_NAMED = 10_000;

export function isOneOfMany(code: ErrorCode): boolean {
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
