/** The common checks of the artifact endpoints. */
import { TandemError } from '@tandem/freshness/errors';
import { ARTIFACT_HASH } from '@tandem/wire/artifacts';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

/**
 * Rejects an upload above the limit. Uploads in progress are not counted yet, so together they may exceed the limit by
 * the files in the `FileRoom`s.
 */
export async function refuseOverLimit(
  { megabytes, unusedBytes }: RouteDependencies['uploads'],
  bytes: number,
): Promise<void> {
  const unused = await unusedBytes();
  if (unused + bytes <= megabytes * 1e6) return;
  const taken = `Uploaded files that no model version uses take up ${Math.ceil(unused / 1e6)} MB`;
  throw new TandemError('body_too_large', `${taken}; with this file they would exceed ${megabytes} MB.`, {
    remedy:
      'push model versions of the uploaded files, wait until unused files are removed (a day), or raise ARTIFACT_UPLOADS_MB',
  });
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
