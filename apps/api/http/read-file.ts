/** A body that is a file: counted and hashed while it comes, so that nothing larger or other than announced is kept. */
import { createHash } from 'node:crypto';
import { RequestError } from '@tandem/http-server/request-error';

export interface ReadFile {
  readonly bytes: Buffer;
  /** In hex. */
  readonly sha256: string;
}

export interface FileBounds {
  readonly most: number;
  /** What else could be done with a larger one. */
  readonly remedy: string;
}

const MIB = 1_048_576;

function inUnits(bytes: number): string {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes} bytes`;
}

/** Throws a RequestError `body_too_large`, or `malformed_request` where the body breaks off. */
export async function readFileBody(request: Request, { most, remedy }: FileBounds): Promise<ReadFile> {
  const announced = Number(request.headers.get('content-length') ?? 0);
  const tooLarge = () => new RequestError('body_too_large', `The body has at most ${inUnits(most)}.`, { remedy });
  if (announced > most) throw tooLarge();
  const hash = createHash('sha256');
  // One buffer of the announced size, whose pages the system gives as they are written: no second copy at the end.
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
    if (cause instanceof RequestError) throw cause;
    throw new RequestError('malformed_request', 'The body broke off.', { remedy: 'send it again', cause });
  }
  return { bytes: file?.subarray(0, size) ?? Buffer.concat(chunks, size), sha256: hash.digest('hex') };
}
