/**
 * The kinds of tests, by file name:
 * - `x.test.ts` needs no server.
 * - `x.integration.test.ts` needs Postgres and Redis, which test/services.ts provides.
 * - `x.e2e.test.ts` starts the product's own processes.
 * - `x.long.test.ts` also starts them. It waits for time limits and recoveries, or repeats another test at length. Run
 *   it with `npm run test:long`, not with `npm test`. CONTRIBUTING.md lists the promises that only long tests check.
 */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const everywhere = ['apps', 'libs', 'test', 'scripts'];
const unit = everywhere.map((folder) => `${folder}/**/*.test.ts`);
const integration = everywhere.map((folder) => `${folder}/**/*.integration.test.ts`);
const endToEnd = everywhere.map((folder) => `${folder}/**/*.e2e.test.ts`);
const long = everywhere.map((folder) => `${folder}/**/*.long.test.ts`);
/** A poll ends as soon as its condition holds. This limit and the ones below allow for a busy machine. */
const expectation = { poll: { timeout: 20_000 } };
const never = ['**/node_modules/**', '**/.tandem/**'];

/**
 * One pool runs the files of all projects. A test file that starts processes uses about half a core and waits
 * otherwise, so two more files run than there are cores.
 */
const maxWorkers = availableParallelism() + 2;
/** For projects whose files stub no modules: the files of one Vitest worker share their imports. */
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
