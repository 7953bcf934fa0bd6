/** The dependencies of the artifact endpoints, and their common checks. */
import { TandemError } from '@tandem/freshness/errors';
import { ARTIFACT_HASH } from '@tandem/wire/artifacts';

export interface ArtifactDependencies {
  readonly artifacts: {
    sizeOf(hash: string): Promise<number | null>;
    renew(hash: string): Promise<number | null>;
    put(hash: string, bytes: Uint8Array): Promise<void>;
    get(hash: string): Promise<Uint8Array>;
  };
  readonly artifactParts: {
    /** Stores a part. Returns how many bytes are stored from the beginning of the file without a gap. */
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

/** The limit of uploaded files and parts that no model version uses. */
interface UploadLimit {
  readonly megabytes: number;
  unusedBytes(): Promise<number>;
}

/**
 * Rejects an upload above the limit. Uploads in progress are not counted yet, so together they may exceed the limit by
 * the files in the `FileRoom`s.
 */
export async function refuseOverLimit({ megabytes, unusedBytes }: UploadLimit, bytes: number): Promise<void> {
  const unused = await unusedBytes();
  if (unused + bytes <= megabytes * 1e6) return;
  const taken = `Uploaded files that no model version uses take up ${Math.ceil(unused / 1e6)} MB`;
  throw new TandemError('body_too_large', `${taken}; with this file they would exceed ${megabytes} MB.`, {
    remedy:
      'push model versions of the uploaded files, wait until unused files are removed (a day), or raise ARTIFACT_UPLOADS_MB',
  });
}

/** A limit on how many files, or parts of files, are in this process's memory at a time. */
interface FileRoom {
  /** Does the work, or rejects with `overloaded` if no place is left. */
  hold<T>(work: () => Promise<T>): Promise<T>;
}

const RETRY_AFTER_SECONDS = 2;

export function createFileRoom(places: number): FileRoom {
  let taken = 0;
  return {
    async hold(work) {
      if (taken >= places) {
        throw new TandemError('overloaded', `${places} files are already being transferred, which is the limit.`, {
          retryAfter: RETRY_AFTER_SECONDS,
          remedy: 'retry after the time in Retry-After',
        });
      }
      taken++;
      return work().finally(() => {
        taken--;
      });
    },
  };
}

/** Returns the hash in the path. Throws `invalid_input`. */
export function hashIn(text: string | undefined): string {
  if (text !== undefined && ARTIFACT_HASH.test(text)) return text;
  throw new TandemError('invalid_input', 'The path contains no SHA-256.', {
    field: 'sha256',
    remedy: 'write 64 hex digits in lower case; sha256sum model.onnx prints them',
  });
}

/** Returns the error of a file whose hash differs from the declared hash. */
export function otherFile(said: string, found: string, field: string): TandemError {
  return new TandemError(
    'invalid_input',
    `The file's SHA-256 is ${found}, not ${said}: the file changed or was damaged in transfer.`,
    {
      field,
      remedy: 'compute its SHA-256 again and resend the file',
    },
  );
}
