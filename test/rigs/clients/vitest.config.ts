/** `npm run test:clients`: third-party clients in a virtual environment of Python. Needs Linux and python3 with venv and pip. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/rigs/clients/**/*.clients.ts'],
    globalSetup: './test/services.ts',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
