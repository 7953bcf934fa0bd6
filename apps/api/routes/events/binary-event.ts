/** The binary content mode of CloudEvents over HTTP: attributes in `ce-` headers, data as the body. */
import { RequestError } from '@tandem/http-server/request-error';
import type { Attributes } from './cloud-event.ts';

/** The attributes in the headers; throws a RequestError `malformed_request`. */
export function binaryAttributes(headers: Iterable<readonly [string, string]>): Attributes {
  const attributes: Record<string, string> = Object.create(null);
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith('ce-')) attributes[lower.slice(3)] = decodeHeader(lower, value);
  }
  return attributes;
}

/** CloudEvents HTTP binding 3.1.3.2: one round of unquoting, then one of percent-decoding. */
function decodeHeader(name: string, raw: string): string {
  const value = raw.trim();
  const unquoted = /^"(?:[^"\\]|\\.)*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  if (/[^\x20-\x7e\t]/.test(unquoted)) throw malformed(name, 'characters beyond ASCII are percent-encoded');
  try {
    return unquoted.includes('%') ? decodeURIComponent(unquoted) : unquoted;
  } catch (cause) {
    throw malformed(name, 'the percent-encoding is not UTF-8', cause);
  }
}

function malformed(name: string, problem: string, cause?: unknown): RequestError {
  return new RequestError('malformed_request', `The header ${name} cannot be read: ${problem}.`, {
    field: name,
    remedy: 'percent-encode the value as the CloudEvents HTTP binding says',
    ...(cause === undefined ? {} : { cause }),
  });
}
