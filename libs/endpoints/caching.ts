/**
 * Parses the request's Cache-Control (RFC 9111, 5.2.1) as options of a read. Unknown directives, and directives
 * without meaning here, are ignored as the RFC requires. Malformed directives that have an effect are rejected:
 * ignoring them could give an answer that is staler than the caller allows.
 */

import { hash } from 'node:crypto';
import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { ReadOptions } from '@tandem/freshness/read-options';
import { REASONS, type Reason } from '@tandem/freshness/reasons';

/** The directives of a request. Ages are in seconds. */
interface RequestDirectives extends Pick<ReadOptions, 'noCache' | 'onlyIfCached' | 'maxAge' | 'maxStale'> {
  /** The seconds for which the answer must still be fresh. */
  readonly minFresh: number | null;
}

export const NO_DIRECTIVES: RequestDirectives = Object.freeze({
  noCache: false,
  onlyIfCached: false,
  maxAge: null,
  maxStale: null,
  minFresh: null,
});

/** The largest number of seconds; larger values count as this one (RFC 9111, 1.2.2). */
const MAX_SECONDS = 2 ** 31;
/** One directive: a token with an optional value (token or quoted string). */
const DIRECTIVE = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:=([!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*"))?[ \t]*$/;

/** Parses the header. Throws a TandemError `malformed_request` if it is malformed. */
export function parseCacheControl(header: string | null | undefined): RequestDirectives {
  if (!header) return NO_DIRECTIVES;
  const found: { -readonly [K in keyof RequestDirectives]: RequestDirectives[K] } = { ...NO_DIRECTIVES };
  for (const part of splitList(header)) {
    if (part.trim() === '') continue;
    const match = DIRECTIVE.exec(part);
    if (!match) throw malformed(`cannot read ${JSON.stringify(part.trim().slice(0, 60))}`);
    const value = match[2]?.startsWith('"') ? match[2].slice(1, -1) : match[2];
    switch ((match[1] ?? '').toLowerCase()) {
      case 'no-cache':
        found.noCache = true;
        break;
      case 'only-if-cached':
        found.onlyIfCached = true;
        break;
      case 'max-age':
        found.maxAge = Math.min(found.maxAge ?? Number.POSITIVE_INFINITY, seconds('max-age', value));
        break;
      case 'max-stale':
        found.maxStale = value === undefined ? Number.POSITIVE_INFINITY : seconds('max-stale', value);
        break;
      case 'min-fresh':
        found.minFresh = Math.max(found.minFresh ?? 0, seconds('min-fresh', value));
        break;
    }
  }
  if (found.noCache && found.onlyIfCached) throw malformed('no-cache and only-if-cached contradict each other');
  return found;
}

/** Splits at commas outside quoted strings. */
function splitList(header: string): string[] {
  if (!header.includes('"')) return header.split(',');
  return header.match(/(?:"(?:[^"\\]|\\.)*"|[^,"]|")+/g) ?? [];
}

function seconds(directive: string, value: string | undefined): number {
  if (value === undefined || !/^[0-9]{1,20}$/.test(value)) {
    throw malformed(`the value of ${directive} is not a whole number of seconds`);
  }
  return Math.min(Number(value), MAX_SECONDS);
}

function malformed(what: string): TandemError {
  return new TandemError('malformed_request', `Cache-Control: ${what}.`, {
    field: 'Cache-Control',
    remedy: 'send no-cache, only-if-cached, max-age=SECONDS, min-fresh=SECONDS, max-stale or max-stale=SECONDS',
  });
}

// The use of a stored prediction in the terms of RFC 9211: the Cache-Status of an answer.

export type CacheStatusFacts = Pick<Answer, 'hit' | 'kept' | 'forwarded' | 'source' | 'reason' | 'ageSeconds'>;

/** @param maxAgeMs the predictor's `maxAge`; with it, a hit gives the remaining seconds of freshness */
export function cacheStatus(answer: CacheStatusFacts, maxAgeMs: number | null): string {
  const { hit, kept, forwarded } = answer;
  // Without the database nothing was decided or requested: the stored answer was used as it is.
  if (forwarded === 'unverified') return 'tandem; hit; detail=unverified';
  if (hit && forwarded === null) return `tandem; hit${ttl(answer, maxAgeMs)}${detail(answer.reason)}`;
  const why = forwarded ?? answer.reason;
  return `tandem; fwd=${REASONS[why].forward}${kept ? '; stored' : ''}; detail=${why}`;
}

/**
 * Returns the remaining seconds of freshness, negative if it has expired. They are unknown if an event ended it or a
 * rollback restarted it.
 */
function ttl({ ageSeconds, reason }: CacheStatusFacts, maxAgeMs: number | null): string {
  if (maxAgeMs === null || ageSeconds === null || (reason !== 'fresh' && reason !== 'expired')) return '';
  return `; ttl=${Math.floor(maxAgeMs / 1000) - ageSeconds}`;
}

function detail(reason: Reason): string {
  return reason === 'fresh' ? '' : `; detail=${reason}`;
}

// Entity tags (RFC 9110, 8.8.3): a weak tag that covers everything that decides an answer, and the comparisons for
// If-None-Match and If-Match.

/** Returns a weak tag. Different lists of parts give different tags. */
export function weakETag(parts: readonly (string | number | null)[]): string {
  // 128 bits of SHA-256: callers cannot make two answers collide.
  return `W/"${hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22)}"`;
}

const TAG = /(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g;

/** Returns whether the header names this tag (by weak comparison) or is `*`. A malformed header names no tag. */
export function matchesETag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = etag.slice(etag.indexOf('"') + 1, -1);
  for (const match of ifNoneMatch.matchAll(TAG)) if (match[1] === opaque) return true;
  return false;
}

/**
 * Throws `precondition_failed` if `If-Match` does not match the current state (RFC 9110, 13.1.1). The comparison is
 * strong, and all tags here are weak, so only `*` matches. Call it after all other checks (13.2.1) and before any
 * change.
 */
export function checkIfMatch(ifMatch: string | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  throw new TandemError('precondition_failed', 'If-Match requires a strong tag, and answers have weak tags only.', {
    field: 'If-Match',
    remedy: 'leave out If-Match; use If-None-Match to ask whether an answer has changed',
  });
}
