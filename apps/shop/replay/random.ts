/** A seeded random generator, so that a replay can be repeated. */
export { createRandom } from '@tandem/experiment/distributions/random';
