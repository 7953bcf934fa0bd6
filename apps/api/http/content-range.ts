/** Content-Range (RFC 9110, 14.4) in a request: the body is a part of a file (14.5). */
import { RequestError } from '@tandem/http-server/request-error';

export interface ContentRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  /** Of the whole. */
  readonly total: number;
}

const RANGE = /^bytes[ \t]+(\d{1,15})-(\d{1,15})\/(\d{1,15})$/i;

/** Undefined where the header is not there: the body is the whole. Throws `malformed_request`. */
export function rangeIn(header: string | undefined): ContentRange | undefined {
  if (header === undefined) return undefined;
  const [, first, last, total] = (RANGE.exec(header.trim()) ?? []).map(Number);
  const isRange = first !== undefined && last !== undefined && total !== undefined && first <= last && last < total;
  if (isRange) return { first, last, total };
  throw new RequestError('malformed_request', 'Content-Range cannot be read.', {
    field: 'Content-Range',
    remedy: 'send bytes <first>-<last>/<total>, counted from 0, or leave it out and send the whole file',
  });
}
