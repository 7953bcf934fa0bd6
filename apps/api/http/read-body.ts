/** A request's body as bytes, counted while they come: what a header promises is not believed. */
import { RequestError } from '@tandem/http-server/request-error';

export const MAX_BODY_BYTES = 1_048_576;

/** The part of a Request that is read here. */
export interface BodySource {
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
