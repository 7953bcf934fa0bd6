/** The dependencies of the artifact endpoints, and their common checks. */
import { TandemError } from '@tandem/freshness/errors';
import { RequestError } from '@tandem/http-server/request-error';
import { ARTIFACT_HASH } from '@tandem/wire/artifacts';

export interface ArtifactDependencies {
  readonly artifacts: {
    sizeOf(hash: string): Promise<number | null>;
    renew(hash: string): Promise<number | null>;
    put(hash: string, bytes: Uint8Array): Promise<void>;
    get(hash: string): Promise<Uint8Array>;
  };
  readonly artifactParts: {
    /** Returns the number of stored bytes from the beginning without a gap. */
    keep(part: { hash: string; firstByte: number; total: number; bytes: Uint8Array }): Promise<number>;
    received(hash: string): Promise<number>;
    join(hash: string, total: number): Promise<Buffer>;
    drop(hash: string): Promise<void>;
  };
  readonly uploads: UploadLimit;
  readonly uploadRoom: FileRoom;
  readonly downloadRoom: FileRoom;
  readonly partRoom: FileRoom;
}

/** Uploaded files and parts that no model version uses: what a pusher may leave behind. */
interface UploadLimit {
  readonly megabytes: number;
  unusedBytes(): Promise<number>;
}

/** Files that arrive at the same time are not counted yet: they may exceed the limit, by what the file rooms hold. */
export async function refuseOverLimit({ megabytes, unusedBytes }: UploadLimit, bytes: number): Promise<void> {
  const unused = await unusedBytes();
  if (unused + bytes <= megabytes * 1e6) return;
  const taken = `Uploaded files that no model version uses take ${Math.ceil(unused / 1e6)} MB already`;
  throw new RequestError('body_too_large', `${taken}; with this one they would exceed ${megabytes} MB.`, {
    remedy:
      'push versions of the files that are there, wait until unused files are removed (a day), or raise ARTIFACT_UPLOADS_MB',
  });
}

/** Files, or parts of them, in this process's memory: a bound on how many there are at a time. */
interface FileRoom {
  /** Rejects with `overloaded` if no place is left. */
  hold<T>(work: () => Promise<T>): Promise<T>;
}

const RETRY_AFTER_SECONDS = 2;

export function createFileRoom(places: number): FileRoom {
  let taken = 0;
  return {
    async hold(work) {
      if (taken >= places) {
        throw new TandemError('overloaded', `${places} files are on their way already.`, {
          retryAfter: RETRY_AFTER_SECONDS,
          remedy: 'try again after the time in Retry-After',
        });
      }
      taken++;
      return work().finally(() => {
        taken--;
      });
    },
  };
}

/** The hash in the path. Throws `invalid_input`. */
export function hashIn(text: string | undefined): string {
  if (text !== undefined && ARTIFACT_HASH.test(text)) return text;
  throw new TandemError('invalid_input', 'The path names no SHA-256.', {
    field: 'sha256',
    remedy: 'write the 64 hex digits in lower case: sha256sum model.onnx',
  });
}

/** The error of a file whose hash differs from the declared hash. */
export function otherFile(said: string, found: string, field: string): TandemError {
  return new TandemError('invalid_input', `The file's SHA-256 is ${found}, not ${said}.`, {
    field,
    remedy: 'the file changed or was damaged on the way: compute its SHA-256 again and resend it',
  });
}
