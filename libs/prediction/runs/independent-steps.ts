import { reasonOf } from '@tandem/freshness/errors';

/** Steps of a round that do not depend on each other: one that fails is named, and the others are done all the same. */
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
