import { reasonOf } from '@tandem/freshness/errors';

/** Runs independent steps of a round. A failed step is recorded by name, and the others still run. */
interface Stepper {
  step<T>(name: string, work: () => Promise<T>, otherwise: T): Promise<T>;
  /** `name: message` of each step that failed. */
  readonly errors: readonly string[];
}

export function createStepper(): Stepper {
  const errors: string[] = [];
  return {
    errors,
    async step(name, work, otherwise) {
      try {
        return await work();
      } catch (error) {
        errors.push(`${name}: ${reasonOf(error)}`);
        return otherwise;
      }
    },
  };
}
