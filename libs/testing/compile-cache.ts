/** Where Node keeps what it compiled, for the processes that a test starts: with it an API starts in half the time. */
const folder = process.env.NODE_COMPILE_CACHE;

export const COMPILE_CACHE: Readonly<Record<string, string>> =
  folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
