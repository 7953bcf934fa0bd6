/** Checks that an answer's source fits its reason, and that the caller's directives allow both. */
import type { Directives, ReadAnswer } from '../history.ts';

const LIVE_FAILURES = [
  ...['features_failed', 'live_failed', 'features_unusable', 'output_unusable'],
  ...['live_timeout', 'overloaded'],
];

const REASONS: Readonly<Record<string, ReadonlySet<string>>> = {
  batch: new Set(['fresh', 'rolled_back']),
  live: new Set(['fresh', 'context_newer', 'missing', 'expired', 'version_changed', 'rolled_back', 'requested']),
  stale: new Set(['context_newer', 'missing', 'expired', ...LIVE_FAILURES, 'unverified']),
  default: new Set(['missing', ...LIVE_FAILURES, 'context_newer', 'expired', 'requested']),
};

/** Returns why the wire does not allow this source, reason and label together; null if it does. */
export function dishonesty({ source, reason, score, predictedFromContextVersion }: ReadAnswer): string | null {
  if (source === null || reason === null) return 'an answer without source or reason';
  if (!REASONS[source]?.has(reason)) return `source ${source} does not go with reason ${reason}`;
  if (score === null) return 'an answer without its prediction';
  const isDefault = source === 'default';
  return isDefault === (predictedFromContextVersion === null) ? null : 'exactly a default has no label';
}

/** Returns which directive the answer disregards; null if it honours all. */
export function disregard(answer: ReadAnswer, directives: Directives): string | null {
  const { source, reason } = answer;
  const { noCache, onlyIfCached, maxStale, minContext } = directives;
  if (noCache && !onlyIfCached && isStoredAsFresh(answer)) return 'no-cache was answered from a store';
  if (onlyIfCached && source === 'live' && reason !== 'fresh') return 'only-if-cached was answered by an inference';
  if (reason === 'unverified' && (noCache || minContext !== undefined)) {
    return 'an uncertified answer to a request that only Postgres can certify';
  }
  if (source === 'stale' && (reason === 'context_newer' || reason === 'expired') && maxStale === undefined) {
    return 'stale without a failure, and the caller did not allow it';
  }
  return null;
}

function isStoredAsFresh({ source, reason }: ReadAnswer): boolean {
  return source === 'batch' || (source === 'live' && reason === 'fresh');
}

export function isCalledFresh({ source }: ReadAnswer): boolean {
  return source === 'batch' || source === 'live';
}
