/** `npm run test:containers`: builds the images and runs docker-compose.yml for real. Takes minutes, and an engine. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '.',
    include: ['test/containers/**/*.compose.ts'],
    reporters: ['verbose'],
    fileParallelism: false,
    // They tell one story in their order: after the first that fails the others would only repeat it.
    bail: 1,
    testTimeout: 300_000,
    hookTimeout: 1_200_000,
  },
});
