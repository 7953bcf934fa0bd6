/**
 * Rejects requests that Node's parser accepts although HTTP does not, or that URL parsers read differently. A proxy in
 * front and this service could disagree on where such a request ends, its host, or its path.
 */
import type { IncomingMessage } from 'node:http';
import { RequestError } from './request-error.ts';

/** The parts of a request that are checked. */
type RequestFrame = Pick<IncomingMessage, 'rawHeaders' | 'url' | 'httpVersion'>;

/** A scheme and an authority before the path: the form for proxies. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** `.` or `..` between slashes, also percent-encoded. */
const DOT_SEGMENT = /\/((?:\.|%2e){1,2})(?:\/|$)/i;

/** Why the request must not be answered, or undefined. Every request passes here: one walk over its header names. */
export function frameFault(incoming: RequestFrame): RequestError | undefined {
  const { rawHeaders, url = '', httpVersion } = incoming;
  let host: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    // The length spares nearly all of them a comparison.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      if (host !== undefined) return unlawful('Host', 'is there more than once', 'send it once');
      host = rawHeaders[i + 1] ?? '';
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      const fault = codingFault(rawHeaders[i + 1] ?? '', httpVersion);
      if (fault) return fault;
    }
  }
  if (host === undefined && httpVersion !== '1.0') return unlawful('Host', 'is missing', 'send it');
  return targetFault(url, host ?? '');
}

/** RFC 9112, 6.1: another coding cannot be read, and a sender of HTTP/1.0 does not know the header. */
function codingFault(value: string, version: string): RequestError | undefined {
  if (value.trim().toLowerCase() !== 'chunked') {
    return unlawful(
      'Transfer-Encoding',
      'names another coding than chunked',
      'send the body without a transfer encoding, or chunked',
    );
  }
  return version === '1.0'
    ? unlawful('Transfer-Encoding', 'does not exist in HTTP/1.0', 'send Content-Length, or HTTP/1.1')
    : undefined;
}

function targetFault(url: string, host: string): RequestError | undefined {
  if (url.includes('#')) {
    return malformed('The path contains a #, which ends a path.', {
      remedy: 'encode each part of the path with encodeURIComponent',
    });
  }
  const path = pathOf(url);
  if (path.includes('\\')) {
    return malformed('The path has a backslash, which URL parsers read as a slash.', { remedy: 'send %5C for it' });
  }
  const dots = DOT_SEGMENT.exec(path)?.[1];
  if (dots !== undefined) {
    return malformed(`The path has the segment ${dots}, which URL parsers remove together with its neighbour.`, {
      remedy: 'send the path without it; no predictor, user id or other name is . or ..',
    });
  }
  if (url.startsWith('/')) return undefined;
  // RFC 9112, 3.2.2: the authority overrides Host, but other programs look only at Host.
  const authority = ABSOLUTE.exec(url)?.[1];
  return authority === undefined || authority.toLowerCase() === host.toLowerCase()
    ? undefined
    : unlawful('Host', "is not the request's own authority", 'send the same in both, or the path alone');
}

/** The path of a request target, unchanged: without scheme, authority and query, and with nothing resolved. */
export function targetPath(url: string): string {
  return pathOf(url).replace(ABSOLUTE, '');
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function unlawful(field: string, problem: string, remedy: string): RequestError {
  return malformed(`${field} ${problem}.`, { field, remedy });
}

/** The connection cannot be used again: what follows on it may be the rest of this request. */
function malformed(text: string, options: { readonly field?: string; readonly remedy: string }): RequestError {
  return new RequestError('malformed_request', text, { ...options, headers: { connection: 'close' } });
}
