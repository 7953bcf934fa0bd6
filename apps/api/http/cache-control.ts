/**
 * The request's Cache-Control (RFC 9111, 5.2.1), as a demand on a prediction. Directives that HTTP does not know, or
 * that say nothing about freshness here, are ignored as the RFC asks; those we act on are refused when malformed,
 * because a demand that is dropped in silence would be an answer staler than the caller allowed.
 */
import { RequestError } from '@tandem/http-server/request-error';

/** Ages in seconds. */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | null;
  /** null: not given; Infinity: any staleness. */
  readonly maxStale: number | null;
  /** For how long the answer must still be fresh. */
  readonly minFresh: number | null;
}

export const NO_DIRECTIVES: RequestDirectives = Object.freeze({
  noCache: false,
  onlyIfCached: false,
  maxAge: null,
  maxStale: null,
  minFresh: null,
});

/** RFC 9111 1.2.2: a larger number of seconds is taken as this one. */
const MAX_SECONDS = 2 ** 31;
/** One directive: a token, and perhaps a value (token or quoted string). */
const DIRECTIVE = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:=([!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*"))?[ \t]*$/;

/** Throws a RequestError `malformed_request` where the header cannot be understood. */
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
    throw malformed(`${directive} takes a whole number of seconds`);
  }
  return Math.min(Number(value), MAX_SECONDS);
}

function malformed(what: string): RequestError {
  return new RequestError('malformed_request', `Cache-Control: ${what}.`, {
    field: 'Cache-Control',
    remedy: 'send no-cache, only-if-cached, max-age=SECONDS, min-fresh=SECONDS, max-stale or max-stale=SECONDS',
  });
}
