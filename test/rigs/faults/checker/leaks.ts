/** Finds texts that must never leave the service: secrets, stack traces, unhandled rejections. */

const NEVER: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['a password in a URL', /:\/\/[^/?#@:\s"']*:(?!\*\*\*)[^\s"'@/]+@/],
  ['an unhandled rejection', /unhandled ?(promise ?)?rejection/i],
  ['an uncaught exception', /uncaught ?exception/i],
];
/**
 * A stack trace. A log line may have one only as a field of an error of level `warn` or `error`. A stack elsewhere, as in a
 * body, comes from an uncaught error.
 */
const STACK = ['a stack trace', /(?:^|"|\n|\\n)\s*at [^\n]*:\d+:\d+\)?/] as const;
const NEVER_IN_BODIES: typeof NEVER = [...NEVER, STACK];
const MAY_HAVE_STACK = /^\{"level":"(?:warn|error)"/;

export interface LeakFinder {
  /** Returns the leak in a line of a process' output; null if there is none. */
  inLog(text: string): string | null;
  /** Returns the leak in an answer's body; null if there is none. */
  inBody(text: string): string | null;
}

/** @param secrets texts that must not appear anywhere: passwords, keys */
export function createLeakFinder(secrets: readonly string[]): LeakFinder {
  function find(text: string, patterns: typeof NEVER): string | null {
    const secret = secrets.findIndex((one) => text.includes(one));
    if (secret >= 0) return `secret ${secret + 1}`;
    const [name, pattern] = patterns.find(([, one]) => one.test(text)) ?? [];
    return name === undefined || pattern === undefined ? null : `${name}: ${excerpt(text, pattern)}`;
  }
  return {
    inLog: (text) => find(text, MAY_HAVE_STACK.test(text) ? NEVER : NEVER_IN_BODIES),
    inBody: (text) => find(text, NEVER_IN_BODIES),
  };
}

/** Returns the text before the match, without the match: a report must not leak either. */
function excerpt(text: string, pattern: RegExp): string {
  const at = text.search(pattern);
  return `after ${JSON.stringify(text.slice(Math.max(0, at - 60), at))}`;
}
