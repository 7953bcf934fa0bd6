/** A line on standard error for each step that takes more than a few seconds: what is waited for. */
import type { Output } from '../cli.ts';

/** Does the work of a step, whose name completes "still …". */
export type TellStep = <T>(name: string, work: () => Promise<T>) => Promise<T>;

const PATIENCE_MS = 3_000;

/** For where nobody watches, or a program reads. */
export const tellNothing: TellStep = (_, work) => work();

export function createStepTeller(stderr: Output): TellStep {
  return async (name, work) => {
    const timer = setTimeout(() => stderr.write(`still ${name} …\n`), PATIENCE_MS);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  };
}
