/**
 * `npm run test:containers` builds the images and runs docker-compose.yml. It needs a container engine and some
 * minutes.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '.',
    include: ['test/containers/**/*.compose.ts'],
    reporters: ['verbose'],
    fileParallelism: false,
    // The tests build on each other, so tests after the first failure would only repeat it.
    bail: 1,
    testTimeout: 300_000,
    hookTimeout: 1_200_000,
  },
});
