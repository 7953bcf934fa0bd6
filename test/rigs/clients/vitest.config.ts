/**
 * `npm run test:clients` tests clients against a real API. Python clients need Linux and python3 with venv and pip. Our
 * own client runs on Node 20, Bun, Deno and workerd.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/rigs/clients/**/*.clients.ts', 'libs/extensions/*/clients/*.clients.ts'],
    globalSetup: './test/services.ts',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
