/** Content-Type (RFC 9110, 8.3) as far as JSON bodies need it. */
import { RequestError } from '@tandem/http-server/request-error';

const TYPE = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;(.*))?$/;
const CHARSET = /^[ \t]*charset[ \t]*=[ \t]*"?utf-?8"?[ \t]*$/i;

/**
 * The media type in lower case, where it is one of those and the charset is UTF-8 or not said. Other parameters mean
 * nothing to JSON. Throws a RequestError `unsupported_media_type`.
 */
export function requireMediaType<T extends string>(header: string | null | undefined, allowed: readonly T[]): T {
  const remedy = `send Content-Type: ${allowed.join(' or ')}, in UTF-8`;
  const match = header ? TYPE.exec(header) : null;
  const type = match?.[1]?.toLowerCase();
  const known = allowed.find((one) => one === type);
  if (known === undefined) {
    const said = header
      ? `The content type ${JSON.stringify(header.slice(0, 80))} is not supported here.`
      : 'The request names no content type.';
    throw new RequestError('unsupported_media_type', said, { field: 'Content-Type', remedy });
  }
  for (const parameter of (match?.[2] ?? '').split(';')) {
    if (/^[ \t]*charset/i.test(parameter) && !CHARSET.test(parameter)) {
      throw new RequestError(
        'unsupported_media_type',
        `JSON is read in UTF-8 alone, not ${JSON.stringify(parameter.trim().slice(0, 40))}.`,
        { field: 'Content-Type', remedy },
      );
    }
  }
  return known;
}

/** A body is read as it is: a decoded one could be a thousand times its size. */
export function refuseContentEncoding(header: string | null | undefined): void {
  if (!header || header.trim().toLowerCase() === 'identity') return;
  throw new RequestError(
    'unsupported_media_type',
    `The content encoding ${JSON.stringify(header.slice(0, 40))} is not supported.`,
    {
      field: 'Content-Encoding',
      remedy: 'send the body as it is, without Content-Encoding',
      headers: { 'accept-encoding': 'identity' },
    },
  );
}

// Whether an Accept header (RFC 9110, 12.5.1) lets a media type through.

/** The most specific range that fits decides; a quality of 0 excludes. A header that cannot be read excludes nothing. */
export function accepts(header: string | null | undefined, type: string): boolean {
  if (!header || header === '*/*' || header === type) return true;
  const family = `${type.slice(0, type.indexOf('/'))}/*`;
  let best = 0;
  let quality = 0;
  for (const range of header.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const specificity = name === type ? 3 : name === family ? 2 : name === '*/*' ? 1 : 0;
    if (specificity === 0 || specificity < best) continue;
    const q = Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1);
    quality = specificity > best ? q : Math.max(quality, q);
    best = specificity;
  }
  return quality !== 0;
}
