/** The extensions of the worker. Without a line here, the worker runs no round of the extension. */
import type { Extension, JobsPart } from '@tandem/extension/extension';
import { rollouts } from '@tandem/rollouts/extension';

const EXTENSIONS: readonly Extension[] = [rollouts];

/** Loads the extensions' parts for the worker. */
export async function loadJobs(): Promise<readonly JobsPart[]> {
  const parts = await Promise.all(EXTENSIONS.map(({ jobs }) => jobs?.()));
  return parts.filter((part) => part !== undefined);
}
