/** The extensions of the API. Without a line here, the API serves no part of the extension. */

import type { Extension, RoutesPart } from '@tandem/extension/extension';
import { outcomes } from '@tandem/outcomes/extension';
import { rankings } from '@tandem/rankings/extension';
import type { OpenObserver } from '@tandem/reading/observe-answers';
import { rollouts } from '@tandem/rollouts/extension';

const EXTENSIONS: readonly Extension[] = [outcomes, rankings, rollouts];

/** Loads the extensions' parts for the API. */
export async function loadRoutes(): Promise<readonly RoutesPart[]> {
  const parts = await Promise.all(EXTENSIONS.map(({ routes }) => routes?.()));
  return parts.filter((part) => part !== undefined);
}

/** Loads the extensions' observers of answers. */
export async function loadObservers(): Promise<readonly OpenObserver[]> {
  const parts = await Promise.all(EXTENSIONS.map(({ observe }) => observe?.()));
  return parts.flatMap((part) => part?.observers ?? []);
}
