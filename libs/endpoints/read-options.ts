/** Parses the options of a read from its headers. */

import { TandemError } from '@tandem/freshness/errors';
import { type LiveQuota, PLAIN_READ, type ReadOptions } from '@tandem/freshness/read-options';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import { parseContextToken } from '@tandem/prediction/events/events';
import { NO_DIRECTIVES, parseCacheControl } from './caching.ts';

export const MIN_CONTEXT = 'prediction-min-context';

/**
 * Parses the headers. Throws a TandemError `malformed_request` that names the header.
 * @param liveQuota the quota of the caller; undefined: no limit
 */
export function readOptions(request: RequestHead, liveQuota: LiveQuota | undefined): HeaderOptions {
  const ofHeaders = headerOptions(request);
  return liveQuota === undefined ? ofHeaders : { ...ofHeaders, liveQuota };
}

/** Read options, and directives that need the policy of a predictor. */
export interface HeaderOptions extends ReadOptions {
  readonly minFresh?: number | null;
}

/**
 * Returns the options. `min-fresh` becomes the greatest age at which the answer stays fresh that long (RFC 9111,
 * 5.2.1.3).
 * @param maxAgeMs the predictor's `maxAge`; null: its answers never expire
 */
export function optionsFor(ofHeaders: HeaderOptions, maxAgeMs: number | null): ReadOptions {
  const { minFresh } = ofHeaders;
  if (minFresh === null || minFresh === undefined || maxAgeMs === null) return ofHeaders;
  const oldest = Math.max(0, Math.floor(maxAgeMs / 1000) - minFresh);
  return { ...ofHeaders, maxAge: Math.min(ofHeaders.maxAge ?? oldest, oldest) };
}

function headerOptions(request: RequestHead): HeaderOptions {
  const directives = parseCacheControl(request.header('cache-control'));
  const token = request.header(MIN_CONTEXT);
  if (token === undefined) return directives === NO_DIRECTIVES ? PLAIN_READ : { ...directives, minContext: null };
  const minContext = parseContextToken(token);
  if (minContext) return { ...directives, minContext };
  throw new TandemError('malformed_request', 'Prediction-Min-Context is not a context token.', {
    field: 'Prediction-Min-Context',
    remedy: "send the contextToken of an event's acknowledgement",
  });
}

/** Returns the error of a read of many users that demands a context. */
export function tokenOfOneUser(): TandemError {
  return new TandemError(
    'malformed_request',
    'A context token belongs to one user, but this request reads many users.',
    {
      field: 'Prediction-Min-Context',
      remedy: 'read that user by GET, or leave out the header',
    },
  );
}
