/** Randomness that can be repeated: each test says its seed, and E2E_SEED repeats it. */
import { randomInt } from 'node:crypto';
import { createRandom } from '../../apps/shop/replay/random.ts';

/** Numbers in [0, 1); tells the seed on standard error. */
export function seededRandom(test: string): () => number {
  const seed = Number(process.env.E2E_SEED ?? randomInt(2 ** 31));
  process.stderr.write(`${test}: E2E_SEED=${seed}\n`);
  return createRandom(seed);
}
