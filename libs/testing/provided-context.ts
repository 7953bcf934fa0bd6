/** The values that test/services.ts provides to tests that need servers, for `inject` of vitest. */
declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which a test may create databases. */
    databaseUrl: string;
    /** The migrated database that each test clones. */
    templateDatabase: string;
    redisUrl: string;
  }
}

export {};
