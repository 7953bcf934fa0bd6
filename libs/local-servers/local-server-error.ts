/**
 * The one kind of error that this package throws on purpose: something about this machine keeps a server from starting, and
 * a person can fix it. The message says what and where; the remedy says what to do.
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

/** Turns what the operating system says about a folder into an error of this package; anything else is passed through. */
export function explainFolderError(folder: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const remedy = `Give it to the user who runs this: chown -R "$(id -un)" "${folder}"; or start from a folder you may write.`;
    return new LocalServerError('no_permission', `${folder} cannot be written (${code}).`, remedy, error);
  }
  if (code === 'ENOSPC') {
    return new LocalServerError(
      'disk_full',
      `The disk that holds ${folder} is full.`,
      'Free some space, start again.',
      error,
    );
  }
  return error;
}
