/** Entity tags (RFC 9110, 8.8.3): a weak one over whatever decides an answer, and the comparisons of both conditions. */
import { hash } from 'node:crypto';
import { RequestError } from '@tandem/http-server/request-error';

/** Parts are joined so that no two lists of parts look alike. */
export function weakETag(parts: readonly (string | number | null)[]): string {
  // 128 bits of SHA-256: no caller can make two answers collide.
  return `W/"${hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22)}"`;
}

const TAG = /(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g;

/** Weak comparison: whether the header names this tag, or is `*`. A header that cannot be read names nothing. */
export function matchesETag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = etag.slice(etag.indexOf('"') + 1, -1);
  for (const match of ifNoneMatch.matchAll(TAG)) if (match[1] === opaque) return true;
  return false;
}

/**
 * Throws `precondition_failed` where an `If-Match` does not hold of what is there (RFC 9110, 13.1.1). It is compared
 * strongly, and so a weak tag equals none, not even itself: only `*` holds. For whom nothing else refuses (13.2.1), and
 * before anything is changed.
 */
export function checkIfMatch(ifMatch: string | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  throw new RequestError('precondition_failed', 'If-Match names a tag, and nothing here has it as a strong one.', {
    field: 'If-Match',
    remedy: 'leave If-Match out; If-None-Match asks whether an answer has changed',
  });
}
