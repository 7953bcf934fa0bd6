/**
 * Kinds of tests, told apart by their names: `x.test.ts` needs nothing; `x.integration.test.ts` needs Postgres and Redis,
 * which test/services.ts provides; `x.e2e.test.ts` starts the product's own processes, and so does `x.long.test.ts`, which
 * waits for silences and recoveries of a minute, or does at length what a test of the others does in short: `npm run
 * test:long`, not part of `npm test`.
 */
import { defineConfig } from 'vitest/config';

const everywhere = ['apps', 'libs', 'test', 'scripts'];
const unit = everywhere.map((folder) => `${folder}/**/*.test.ts`);
const integration = everywhere.map((folder) => `${folder}/**/*.integration.test.ts`);
const endToEnd = everywhere.map((folder) => `${folder}/**/*.e2e.test.ts`);
const long = everywhere.map((folder) => `${folder}/**/*.long.test.ts`);
/** A poll ends when what it looks for is there. This bound and those below are for a machine that has much else to do. */
const expectation = { poll: { timeout: 20_000 } };
const never = ['**/node_modules/**', '**/.tandem/**'];

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: unit,
          exclude: [...never, ...integration, ...endToEnd, ...long],
          pool: 'threads',
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: expectation,
        },
      },
      {
        test: {
          name: 'integration',
          include: integration,
          exclude: never,
          globalSetup: ['./test/services.ts'],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: expectation,
        },
      },
      {
        test: {
          name: 'end to end',
          include: endToEnd,
          exclude: never,
          globalSetup: ['./test/services.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: expectation,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'long',
          include: long,
          exclude: never,
          globalSetup: ['./test/services.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: expectation,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
