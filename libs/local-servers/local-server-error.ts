/**
 * The only error that this package throws deliberately: a condition of this machine prevents a server from starting,
 * and the user can fix it. The message has the problem and its place, the remedy has the fix.
 */

type LocalServerErrorCode =
  | 'in_use'
  | 'no_permission'
  | 'port_taken'
  | 'disk_full'
  | 'no_program'
  | 'old_data'
  | 'start_failed';

export class LocalServerError extends Error {
  readonly code: LocalServerErrorCode;
  readonly remedy: string;

  constructor(code: LocalServerErrorCode, problem: string, remedy: string, cause?: unknown) {
    super(`${problem}\n${remedy}`, cause === undefined ? undefined : { cause });
    this.name = 'LocalServerError';
    this.code = code;
    this.remedy = remedy;
  }
}

/**
 * Converts an error of the operating system about a folder to an error of this package. Returns other errors unchanged.
 */
export function explainFolderError(folder: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const remedy = `Make the user who runs this the owner of the folder: chown -R "$(id -un)" "${folder}"; or start from a folder that you may write.`;
    return new LocalServerError('no_permission', `${folder} cannot be written (${code}).`, remedy, error);
  }
  return code === 'ENOSPC' ? diskFull(folder, error) : error;
}

/** Returns the error for a full disk. */
export function diskFull(folder: string, cause?: unknown): LocalServerError {
  return new LocalServerError(
    'disk_full',
    `The disk of ${folder} is full.`,
    'Free some space, then start again.',
    cause,
  );
}
