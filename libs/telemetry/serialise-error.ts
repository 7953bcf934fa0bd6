/** Turns an error into plain fields: its kind, code and text, where it arose, and the errors behind it. */

interface SerialisedError {
  readonly type: string;
  readonly message: string;
  readonly code?: unknown;
  readonly field?: unknown;
  readonly detail?: unknown;
  readonly stack?: string;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/** Errors whose causes refer to each other, or nest without end, are cut off here. */
const MAX_DEPTH = 8;

export function serialiseError(error: Error, depth = 0): SerialisedError {
  return serialise(error, depth, true);
}

/**
 * Serialises an error and its causes without stack frames: a declared rejection, or an unavailable part, gives a reason
 * and comes from no defect. Other values stay as they are.
 */
export function serialiseRefusal(error: unknown): unknown {
  return error instanceof Error ? serialise(error, 0, false) : error;
}

function serialise(error: Error, depth: number, hasFrames: boolean): SerialisedError {
  const { code, field, detail, cause, errors } = error as Error &
    Record<'code' | 'field' | 'detail' | 'errors', unknown>;
  const behind = (inner: unknown) =>
    !(inner instanceof Error) ? inner : depth < MAX_DEPTH ? serialise(inner, depth + 1, hasFrames) : '(more causes)';
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(field === undefined ? {} : { field }),
    ...(detail === undefined ? {} : { detail: behind(detail) }),
    ...(error.stack === undefined || !hasFrames ? {} : { stack: frames(error.stack) }),
    ...(cause === undefined ? {} : { cause: behind(cause) }),
    ...(Array.isArray(errors) ? { errors: errors.slice(0, 10).map(behind) } : {}),
  };
}

/** The frames only: type and message are separate fields. At most ten; deeper frames are the runtime's. */
function frames(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 10)
    .map((line) => line.trim())
    .join('\n');
}
