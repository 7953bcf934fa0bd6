/**
 * Kinds of tests, told apart by their names: `x.test.ts` needs nothing; `x.integration.test.ts` needs Postgres and Redis,
 * which test/services.ts provides; `x.e2e.test.ts` starts the product's own processes, and so does `x.long.test.ts`: `npm run
 * test:long`, not part of `npm test`. A long test waits for silences and recoveries, or repeats a test of the others at length.
 * CONTRIBUTING.md lists the promises that only long tests check.
 */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const everywhere = ['apps', 'libs', 'test', 'scripts'];
const unit = everywhere.map((folder) => `${folder}/**/*.test.ts`);
const integration = everywhere.map((folder) => `${folder}/**/*.integration.test.ts`);
const endToEnd = everywhere.map((folder) => `${folder}/**/*.e2e.test.ts`);
const long = everywhere.map((folder) => `${folder}/**/*.long.test.ts`);
/** A poll ends when what it looks for is there. This bound and those below are for a machine that has much else to do. */
const expectation = { poll: { timeout: 20_000 } };
const never = ['**/node_modules/**', '**/.tandem/**'];

/**
 * One pool runs the files of all projects. A file of processes takes about half a processor, and waits for the rest of its
 * time, so there are two files more under way than there are processors.
 */
const maxWorkers = availableParallelism() + 2;
/** Of projects whose files stub nothing: the files of a worker share what they import. */
const isolate = false;
const services = { globalSetup: './test/services.ts', pool: 'forks' } as const;

export default defineConfig({
  test: {
    reporters: ['default'],
    maxWorkers,
    projects: [
      {
        test: {
          name: 'unit',
          include: unit,
          exclude: [...never, ...integration, ...endToEnd, ...long],
          pool: 'threads',
          isolate,
          maxWorkers,
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
          ...services,
          isolate,
          maxWorkers,
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
          ...services,
          isolate,
          maxWorkers,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: expectation,
        },
      },
      {
        test: {
          name: 'long',
          include: long,
          exclude: never,
          ...services,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: expectation,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
