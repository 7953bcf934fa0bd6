/** Which sources go with which reasons, and what a caller's directives leave of them, as the product's wire says it. */
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

/** The pair that is not of the wire; null where it is. */
export function dishonesty({ source, reason, score, predictedFromContextVersion }: ReadAnswer): string | null {
  if (source === null || reason === null) return 'an answer without source or reason';
  if (!REASONS[source]?.has(reason)) return `source ${source} does not go with reason ${reason}`;
  if (score === null) return 'an answer without its prediction';
  const isDefault = source === 'default';
  return isDefault === (predictedFromContextVersion === null) ? null : 'exactly a default has no label';
}

/** What the caller demanded and was not given; null where all is as demanded. */
export function disregard(answer: ReadAnswer, directives: Directives): string | null {
  const { source, reason } = answer;
  const { noCache, onlyIfCached, maxStale, minContext } = directives;
  if (noCache && !onlyIfCached && isStoredAsFresh(answer)) return 'no-cache was answered from a store';
  if (onlyIfCached && source === 'live' && reason !== 'fresh') return 'only-if-cached was answered by an inference';
  if (reason === 'unverified' && (noCache || minContext !== undefined)) {
    return 'what nobody certified answered what only Postgres can vouch for';
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
