/** The values that test/services.ts provides to every test that needs servers, for `inject` of vitest. */
declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which a test may create databases. */
    databaseUrl: string;
    /** The migrated database that each test's own is cloned from. */
    templateDatabase: string;
    redisUrl: string;
  }
}

export {};
