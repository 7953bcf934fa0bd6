/**
 * The folder of Node's compile cache for the processes that a test starts. With the cache, an API starts in half the
 * time.
 */
const folder = process.env.NODE_COMPILE_CACHE;

export const COMPILE_CACHE: Readonly<Record<string, string>> =
  folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
