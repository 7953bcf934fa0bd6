/**
 * Rejects requests that Node's parser accepts although HTTP does not, or that URL parsers read differently. A proxy in
 * front and this service could disagree on where such a request ends, its host, or its path.
 */
import type { IncomingMessage } from 'node:http';
import { TandemError } from '@tandem/freshness/errors';

/** The parts of a request that are checked. */
type RequestFrame = Pick<IncomingMessage, 'rawHeaders' | 'url' | 'httpVersion'>;

/** A scheme and an authority before the path: the form for proxies. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** Matches `.` or `..` between slashes, also percent-encoded. */
const DOT_SEGMENT = /\/((?:\.|%2e){1,2})(?:\/|$)/i;

/**
 * Returns why the request must not be answered; undefined if it is valid. Since it runs for every request, it reads the
 * header names only once.
 */
export function frameFault(incoming: RequestFrame): TandemError | undefined {
  const { rawHeaders, url = '', httpVersion } = incoming;
  let host: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    // Comparing the length first avoids most comparisons of texts.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      if (host !== undefined) return unlawful('Host', 'is sent more than once', 'send it once');
      host = rawHeaders[i + 1] ?? '';
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      const fault = codingFault(rawHeaders[i + 1] ?? '', httpVersion);
      if (fault) return fault;
    }
  }
  if (host === undefined && httpVersion !== '1.0') return unlawful('Host', 'is missing', 'send it');
  return targetFault(url, host ?? '');
}

/**
 * Returns the error of a transfer coding (RFC 9112, 6.1). Codings other than chunked are not supported, and HTTP/1.0
 * does not define the header.
 */
function codingFault(value: string, version: string): TandemError | undefined {
  if (value.trim().toLowerCase() !== 'chunked') {
    return unlawful(
      'Transfer-Encoding',
      'names a coding other than chunked',
      'send the body without a transfer encoding, or chunked',
    );
  }
  return version === '1.0'
    ? unlawful('Transfer-Encoding', 'does not exist in HTTP/1.0', 'send Content-Length, or HTTP/1.1')
    : undefined;
}

function targetFault(url: string, host: string): TandemError | undefined {
  if (url.includes('#')) {
    return malformed('The path contains a #, which would end the path.', {
      remedy: 'encode each part of the path with encodeURIComponent',
    });
  }
  const path = pathOf(url);
  if (path.includes('\\')) {
    return malformed('The path has a backslash, which URL parsers read as a slash.', { remedy: 'send %5C instead' });
  }
  const dots = DOT_SEGMENT.exec(path)?.[1];
  if (dots !== undefined) {
    return malformed(`The path has the segment ${dots}, which URL parsers resolve.`, {
      remedy: 'send the path without it; a name or a user id cannot be . or ..',
    });
  }
  if (url.startsWith('/')) return undefined;
  // RFC 9112, 3.2.2: the authority overrides Host, but other programs look only at Host.
  const authority = ABSOLUTE.exec(url)?.[1];
  return authority === undefined || authority.toLowerCase() === host.toLowerCase()
    ? undefined
    : unlawful(
        'Host',
        'differs from the authority in the request target',
        'send the same host in both, or only the path',
      );
}

/** Returns the path of a request target without scheme, authority and query. Nothing in it is resolved. */
export function targetPath(url: string): string {
  return pathOf(url).replace(ABSOLUTE, '');
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function unlawful(field: string, problem: string, remedy: string): TandemError {
  return malformed(`${field} ${problem}.`, { field, remedy });
}

/** Returns an error that closes the connection, since further bytes may belong to this request. */
function malformed(text: string, options: { readonly field?: string; readonly remedy: string }): TandemError {
  return new TandemError('malformed_request', text, { ...options, headers: { connection: 'close' } });
}
