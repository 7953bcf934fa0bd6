/** A config's glob patterns of event types (`order.*`, `?`) as the LIKE patterns that the events' trigger compares with. */

/** `*` is any text, `?` one character; everything else stands for itself. */
export function likePatterns(globs: readonly string[]): string[] {
  return globs.map((glob) =>
    glob
      .replaceAll(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
      .replaceAll('?', '_'),
  );
}
