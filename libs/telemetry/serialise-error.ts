/** Converts an error to plain fields: its class, code and message, its stack frames, and its causes. */

/** The greatest depth of causes, which also cuts off cycles. */
const MAX_DEPTH = 8;

export function serialiseError(error: Error): Record<string, unknown> {
  return serialise(error, 0, true);
}

/**
 * Serialises an error and its causes without stack frames, for declared rejections and unavailable parts, which are not
 * defects. Returns other values unchanged.
 */
export function serialiseRefusal(error: unknown): unknown {
  return error instanceof Error ? serialise(error, 0, false) : error;
}

function serialise(error: Error, depth: number, hasFrames: boolean): Record<string, unknown> {
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

/** Returns at most ten stack frames; deeper frames belong to the runtime. Type and message are separate fields. */
function frames(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 10)
    .map((line) => line.trim())
    .join('\n');
}
