/** Patterns of event types, `order.*`: `*` matches any characters; all other characters match themselves. */

/** Returns why a text is not a valid pattern; null if it is. */
export function eventPatternProblem(pattern: string): string | null {
  if (pattern === '') return 'is empty, but every event has a type';
  if (Buffer.byteLength(pattern) > 256) return 'is longer than 256 bytes, the longest type that an event may have';
  if (/[\s?[\]{}]/.test(pattern)) return 'has white space or one of ? [ ] { }; only * is a wildcard';
  return null;
}

/** Returns whether an event type matches a pattern. */
export function matchesEventPattern(pattern: string, type: string): boolean {
  const expression = pattern
    .split('*')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
    .join('[^]*');
  return new RegExp(`^${expression}$`).test(type);
}

/**
 * Returns another pattern that covers `patterns[index]`, if there is one. Patterns have no literal `*`, so a pattern
 * that matches the text of another pattern also matches all of its types.
 */
export function coveringPattern(patterns: readonly string[], index: number): string | undefined {
  const pattern = patterns[index] ?? '';
  return patterns.find((other, i) => {
    if (i === index || !matchesEventPattern(other, pattern)) return false;
    // Of two equal patterns, the first stays.
    return i < index || !matchesEventPattern(pattern, other);
  });
}
