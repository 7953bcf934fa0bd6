/** Reads and checks a JSON body of a known schema. A rejection names the field and the remedy. */

import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { type BodyForm, checkForm } from '@tandem/reading/check-form';
import type { Read, Schema } from '@tandem/wire/schema';
import type { Context } from 'hono';
import { readJson } from './json/read-json.ts';

/** Reads the body as JSON of one of these media types. Returns the value and the media type. */
export async function jsonBody<T extends string>(
  { req }: Context,
  types: readonly T[],
): Promise<{ readonly type: T; readonly value: unknown }> {
  refuseContentEncoding(req.header('content-encoding'));
  const type = requireMediaType(req.header('content-type'), types);
  return { type, value: readJson(await readBody(req.raw, req.header('content-length'))) };
}

/** Reads an `application/json` body and checks it against a schema. */
export async function parseBody<S extends Schema>(context: Context, form: BodyForm<S>): Promise<Read<S>> {
  const { optional = false } = form;
  const isAbsent =
    optional && !context.req.header('content-type') && (context.req.header('content-length') ?? '0') === '0';
  const value = isAbsent ? {} : (await jsonBody(context, ['application/json'])).value;
  return checkForm(form, value);
}

/** Rejects a body in a request whose path says everything, because the body would be ignored. */
export function checkNoBody(req: Context['req']): void {
  const isEmpty = Number(req.header('content-length') ?? 0) === 0 && req.header('transfer-encoding') === undefined;
  if (isEmpty) return;
  throw new TandemError('malformed_request', 'This request takes no body.', {
    remedy: 'send the request without a body: the path names the user',
  });
}

// Reads a request's body as bytes and counts them as they arrive: the length in the header is not trusted.

export const MAX_BODY_BYTES = 1_048_576;

/** The part of a Request that `readBody` uses. */
interface BodySource {
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * Reads the bytes. Throws a TandemError `body_too_large`, or `malformed_request` if the body is truncated.
 * @param contentLength the header; if present, the HTTP parser enforces it
 */
export async function readBody(request: BodySource, contentLength: string | null | undefined): Promise<Uint8Array> {
  try {
    if (contentLength) {
      if (Number(contentLength) > MAX_BODY_BYTES) throw tooLarge();
      const bytes = new Uint8Array(await request.arrayBuffer());
      if (bytes.length > MAX_BODY_BYTES) throw tooLarge();
      return bytes;
    }
    return request.body === null ? new Uint8Array() : await readCounted(request.body);
  } catch (error) {
    if (isTandemError(error)) throw error;
    throw new TandemError('malformed_request', 'The request body was truncated.', { cause: error });
  }
}

async function readCounted(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): TandemError {
  return new TandemError('body_too_large', `The body has more than ${MAX_BODY_BYTES} bytes.`, {
    remedy: 'send it in several requests, or shorten the data',
    // The answer has no `Connection: close`, because the rest of the body is read and discarded for a while. Closing
    // while the client still sends would reset the connection, and the client would lose the answer.
  });
}

/** Returns a JSON answer that may not be cached. All answers except predictions are of this kind. */
export function jsonResponse(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
  });
}

// The part of Content-Type (RFC 9110, 8.3) that JSON bodies need.

const TYPE = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;(.*))?$/;
const CHARSET = /^[ \t]*charset[ \t]*=[ \t]*"?utf-?8"?[ \t]*$/i;

/**
 * Returns the media type in lower case if it is one of those and the charset is UTF-8 or absent. Other parameters have
 * no meaning for JSON. Throws a TandemError `unsupported_media_type`.
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
    throw new TandemError('unsupported_media_type', said, { field: 'Content-Type', remedy });
  }
  for (const parameter of (match?.[2] ?? '').split(';')) {
    if (/^[ \t]*charset/i.test(parameter) && !CHARSET.test(parameter)) {
      throw new TandemError(
        'unsupported_media_type',
        `JSON must be in UTF-8, not ${JSON.stringify(parameter.trim().slice(0, 40))}.`,
        { field: 'Content-Type', remedy },
      );
    }
  }
  return known;
}

/** Rejects encoded bodies: a decoded body could be a thousand times as large. */
export function refuseContentEncoding(header: string | null | undefined): void {
  if (!header || header.trim().toLowerCase() === 'identity') return;
  throw new TandemError(
    'unsupported_media_type',
    `The content encoding ${JSON.stringify(header.slice(0, 40))} is not supported.`,
    {
      field: 'Content-Encoding',
      remedy: 'send the body uncompressed, without Content-Encoding',
      headers: { 'accept-encoding': 'identity' },
    },
  );
}

// Checks whether an Accept header (RFC 9110, 12.5.1) allows a media type.

/**
 * Returns whether the header allows the type. The most specific matching range decides, and a quality of 0 excludes the
 * type. A malformed header excludes nothing.
 */
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
