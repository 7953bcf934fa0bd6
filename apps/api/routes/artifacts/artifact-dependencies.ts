/** What the endpoints of artifacts need of the stores and of memory, and what they check alike. */
import { TandemError } from '@tandem/freshness/errors';
import { ARTIFACT_HASH } from '@tandem/wire/artifacts';

export interface ArtifactDependencies {
  readonly artifacts: {
    sizeOf(hash: string): Promise<number | null>;
    put(hash: string, bytes: Uint8Array): Promise<void>;
    get(hash: string): Promise<Uint8Array>;
  };
  readonly artifactParts: {
    /** Gives how much is there from the beginning without a gap. */
    keep(part: { hash: string; firstByte: number; total: number; bytes: Uint8Array }): Promise<number>;
    received(hash: string): Promise<number>;
    join(hash: string, total: number): Promise<Buffer>;
    drop(hash: string): Promise<void>;
  };
  readonly uploadRoom: FileRoom;
  readonly downloadRoom: FileRoom;
  readonly partRoom: FileRoom;
}

/** Files, or parts of them, in this process's memory: a bound on how many there are at a time. */
interface FileRoom {
  /** Rejects with `overloaded` where no place is left. */
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

/** The error of a file that is another than was said. */
export function otherFile(said: string, found: string, field: string): TandemError {
  return new TandemError('invalid_input', `The file's SHA-256 is ${found}, not ${said}.`, {
    field,
    remedy: 'it changed, or came damaged: take the SHA-256 of the file again, and send it again',
  });
}
