/** `npm run test:clients`: clients that are not ours, in a virtual environment of Python. Linux; needs python3 with venv and pip. */
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
