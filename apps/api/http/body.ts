/** A JSON body of a known form: read, checked, and where it is refused, the field and the remedy named. */
import type { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';
import { RequestError } from '@tandem/http-server/request-error';
import type { Context } from 'hono';
import { readJson } from '../json/read-json.ts';
import { refuseContentEncoding, requireMediaType } from './media-type.ts';

/** The body as JSON of one of these media types, with the type it came in. */
export async function jsonBody<T extends string>(
  { req }: Context,
  types: readonly T[],
): Promise<{ readonly type: T; readonly value: unknown }> {
  refuseContentEncoding(req.header('content-encoding'));
  const type = requireMediaType(req.header('content-type'), types);
  return { type, value: readJson(await readBody(req.raw, req.header('content-length'))) };
}

interface BodyForm<S extends z.ZodType> {
  readonly schema: S;
  /** A body that is right: it is shown to whoever sends one that is not. */
  readonly example: z.input<S>;
  /** An absent body counts as `{}`. */
  readonly optional?: boolean;
}

/** A body of our own form. */
export async function parseBody<S extends z.ZodType>(context: Context, form: BodyForm<S>): Promise<z.output<S>> {
  const { optional = false } = form;
  const isAbsent =
    optional && !context.req.header('content-type') && (context.req.header('content-length') ?? '0') === '0';
  const value = isAbsent ? {} : (await jsonBody(context, ['application/json'])).value;
  return checkForm(form, value);
}

/** Throws a TandemError `invalid_input` that names the first field that is wrong. */
function checkForm<S extends z.ZodType>({ schema, example }: BodyForm<S>, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const known = 'shape' in schema ? ` with ${Object.keys(schema.shape as object).join(', ')}` : '';
  if (issue?.code === 'unrecognized_keys') {
    const field = pathOf([...issue.path, issue.keys[0] ?? '']);
    throw new TandemError('invalid_input', `The field ${field} is not known.`, {
      field,
      remedy:
        issue.path.length === 0 && known !== '' ? `leave it out; those known are${known.slice(5)}` : 'leave it out',
    });
  }
  const field = pathOf(issue?.path ?? []);
  throw new TandemError('invalid_input', `${field === '' ? 'The body' : field}: ${issue?.message ?? 'wrong form'}.`, {
    ...(field === '' ? {} : { field }),
    remedy: `send a JSON object${known}, such as ${JSON.stringify(example)}`,
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part).slice(0, 80) : `${text}.${String(part).slice(0, 80)}`;
  }, '');
}

// A request's body as bytes, counted while they come: what a header promises is not believed.

export const MAX_BODY_BYTES = 1_048_576;

/** The part of a Request that is read here. */
interface BodySource {
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * Throws a RequestError `body_too_large`, or `malformed_request` where the body breaks off.
 * @param contentLength the header; where it is there, the server's parser holds the body to it
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
    if (error instanceof RequestError) throw error;
    throw new RequestError('malformed_request', 'The body broke off.', { cause: error });
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

function tooLarge(): RequestError {
  return new RequestError('body_too_large', `A body has at most ${MAX_BODY_BYTES} bytes.`, {
    remedy: 'send it in several requests',
    // No `Connection: close`: what is left of the body is passed over for a while, since closing on a client that still
    // sends would reset the connection, and with it the answer.
  });
}

/** JSON answers that nobody caches: everything but predictions. */
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
