/** How a stored prediction was used, in the terms of RFC 9211: the Cache-Status of an answer. */
import type { Answer, Reason } from '@tandem/freshness/answer';
import { unreachable } from '@tandem/freshness/errors';

export type CacheStatusFacts = Pick<Answer, 'hit' | 'kept' | 'forwarded' | 'source' | 'reason' | 'ageSeconds'>;

/** @param maxAgeMs the predictor's; a hit then says for how many seconds more it will do */
export function cacheStatus(answer: CacheStatusFacts, maxAgeMs: number | null): string {
  const { hit, kept, forwarded } = answer;
  // Without the database nothing was decided, and nothing asked for: the stored answer was used as it is.
  if (forwarded === 'unverified') return 'tandem; hit; detail=unverified';
  if (hit && forwarded === null) return `tandem; hit${ttl(answer, maxAgeMs)}${detail(answer.reason)}`;
  const why = forwarded ?? answer.reason;
  return `tandem; fwd=${forwardReason(why)}${kept ? '; stored' : ''}; detail=${why}`;
}

/** Seconds of freshness left, negative where they are over; unknown where an event ended it, or a rollback restarted it. */
function ttl({ ageSeconds, reason }: CacheStatusFacts, maxAgeMs: number | null): string {
  if (maxAgeMs === null || ageSeconds === null || (reason !== 'fresh' && reason !== 'expired')) return '';
  return `; ttl=${Math.floor(maxAgeMs / 1000) - ageSeconds}`;
}

function detail(reason: Reason): string {
  return reason === 'fresh' ? '' : `; detail=${reason}`;
}

function forwardReason(why: Reason): string {
  switch (why) {
    case 'missing':
      return 'uri-miss';
    case 'requested':
      return 'request';
    case 'version_changed':
    case 'rolled_back':
      // Something is stored, and none of it may be chosen any more.
      return 'miss';
    case 'context_newer':
    case 'expired':
    case 'fresh':
    case 'features_failed':
    case 'live_failed':
    case 'features_unusable':
    case 'output_unusable':
    case 'live_timeout':
    case 'overloaded':
    case 'unverified':
      return 'stale';
    default:
      return unreachable(why);
  }
}
