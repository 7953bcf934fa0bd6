/** A line on standard error for each step that takes more than a few seconds: what is waited for. */
import type { TellStep } from '@tandem/admission/tell-step';
import type { Output } from '../command-line/cli.ts';

const PATIENCE_MS = 3_000;

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
