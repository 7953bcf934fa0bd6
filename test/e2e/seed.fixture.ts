/** Random numbers that can be repeated: each test prints its seed, and E2E_SEED sets it. */
import { randomInt } from 'node:crypto';
import { createRandom } from '@tandem/experiment/distributions/random';

/** Creates a generator of numbers in [0, 1), and prints the seed on standard error. */
export function seededRandom(test: string): () => number {
  const seed = Number(process.env.E2E_SEED ?? randomInt(2 ** 31));
  process.stderr.write(`${test}: E2E_SEED=${seed}\n`);
  return createRandom(seed);
}
