/** Patterns of event types, `order.*`: `*` matches any characters; all other characters match themselves. */

/** Why a text is no pattern, or null. */
export function eventPatternProblem(pattern: string): string | null {
  if (pattern === '') return 'is empty, and every event has a type';
  if (Buffer.byteLength(pattern) > 256) return 'is longer than 256 bytes, the longest type that an event may have';
  if (/[\s?[\]{}]/.test(pattern)) return 'has white space or one of ? [ ] { }; only * is a wildcard';
  return null;
}

/** Whether an event type matches a pattern. */
export function matchesEventPattern(pattern: string, type: string): boolean {
  const expression = pattern
    .split('*')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
    .join('[^]*');
  return new RegExp(`^${expression}$`).test(type);
}

/**
 * Returns another pattern that already matches everything that `patterns[index]` matches, if there is one. Patterns
 * have no literal `*`, so a pattern that matches another pattern's text matches all of its types.
 */
export function coveringPattern(patterns: readonly string[], index: number): string | undefined {
  const pattern = patterns[index] ?? '';
  return patterns.find((other, i) => {
    if (i === index || !matchesEventPattern(other, pattern)) return false;
    // Of two that say the same, the first stays.
    return i < index || !matchesEventPattern(pattern, other);
  });
}
