import { reasonOf } from '@tandem/freshness/errors';

/** Runs independent steps of a round. A failed step is recorded by name, and the others still run. */
export function createStepper() {
  const errors: string[] = [];
  return {
    /** `name: message` of each step that failed. */
    errors,
    async step<T>(name: string, work: () => Promise<T>, otherwise: T): Promise<T> {
      try {
        return await work();
      } catch (error) {
        errors.push(`${name}: ${reasonOf(error)}`);
        return otherwise;
      }
    },
  };
}
