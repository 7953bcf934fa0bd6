/** Parses Content-Digest (RFC 9530) as far as files need it: the SHA-256 of the body as sent. */

import { createHash } from 'node:crypto';
import { isTandemError, TandemError } from '@tandem/freshness/errors';

/** A member of the header's dictionary: base64 between colons. */
const SHA_256 = /^sha-256[ \t]*=[ \t]*:([A-Za-z0-9+/]{43}=):$/;
const MEMBER = /^[a-z*][a-z0-9_.*-]*[ \t]*=[ \t]*:[A-Za-z0-9+/]*={0,2}:$/;

/**
 * Returns the digest in hex; undefined without the header, or if the header has only other algorithms. Throws
 * `malformed_request`.
 */
export function digestIn(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const members = header.split(',').map((member) => member.trim());
  if (!members.every((member) => MEMBER.test(member))) throw malformed();
  const sha256 = members.findLast((member) => member.startsWith('sha-256'));
  if (sha256 === undefined) return undefined;
  const digest = SHA_256.exec(sha256)?.[1];
  if (digest === undefined) throw malformed();
  return Buffer.from(digest, 'base64').toString('hex');
}

function malformed(): TandemError {
  return new TandemError('malformed_request', 'Content-Digest cannot be read.', {
    field: 'Content-Digest',
    remedy: 'send sha-256=:<base64 of the SHA-256 of the body>: (RFC 9530), or leave it out',
  });
}

// Content-Range (RFC 9110, 14.4) in a request: the body is a part of a file (14.5).

export interface ContentRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  /** The size of the whole file, in bytes. */
  readonly total: number;
}

const RANGE = /^bytes[ \t]+(\d{1,15})-(\d{1,15})\/(\d{1,15})$/i;

/**
 * Returns the range; undefined without the header, because the body is then the whole file. Throws `malformed_request`.
 */
export function rangeIn(header: string | undefined): ContentRange | undefined {
  if (header === undefined) return undefined;
  const [, first, last, total] = (RANGE.exec(header.trim()) ?? []).map(Number);
  const isRange = first !== undefined && last !== undefined && total !== undefined && first <= last && last < total;
  if (isRange) return { first, last, total };
  throw new TandemError('malformed_request', 'Content-Range cannot be read.', {
    field: 'Content-Range',
    remedy: 'send bytes <first>-<last>/<total>, counted from 0, or leave it out and send the whole file',
  });
}

// Reads a body that is a file. It is counted and hashed as it arrives, so that a file that is too large or has another
// hash is not stored.

interface FileBounds {
  readonly most: number;
  /** The remedy for a larger file. */
  readonly remedy: string;
}

const MIB = 1_048_576;

function inUnits(bytes: number): string {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes} bytes`;
}

/**
 * Reads the file. Returns its bytes and their SHA-256 in hex. Throws a TandemError: `body_too_large`, or
 * `malformed_request` if the body is truncated.
 */
export async function readFileBody(request: Request, { most, remedy }: FileBounds) {
  const announced = Number(request.headers.get('content-length') ?? 0);
  const tooLarge = () =>
    new TandemError('body_too_large', `The body is too large: at most ${inUnits(most)} are allowed.`, { remedy });
  if (announced > most) throw tooLarge();
  const hash = createHash('sha256');
  // One buffer of the announced size avoids a copy at the end. The system allocates its pages as they are written.
  const file = announced > 0 ? Buffer.alloc(announced) : null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.length;
      if (size > most) throw tooLarge();
      hash.update(chunk);
      if (file === null) chunks.push(chunk);
      else file.set(chunk, size - chunk.length);
    }
  } catch (cause) {
    if (isTandemError(cause)) throw cause;
    throw new TandemError('malformed_request', 'The request body was truncated.', { remedy: 'send it again', cause });
  }
  return { bytes: file?.subarray(0, size) ?? Buffer.concat(chunks, size), sha256: hash.digest('hex') };
}
