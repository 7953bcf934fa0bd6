/** The extensions of the API. Without a line here, the API serves no part of the extension. */
import type { OpenObserver } from '@tandem/embedded/observe-answers';
import type { Extension, ExtensionPort, RoutesPart } from '@tandem/extension/extension';
import { openInference } from '@tandem/open-inference/extension';
import { outcomes } from '@tandem/outcomes/extension';
import { rollouts } from '@tandem/rollouts/extension';

const EXTENSIONS: readonly Extension[] = [outcomes, rollouts, openInference];

/** The further ports of the API, each of which it serves if the port's variable is set. */
export const PORTS: readonly ExtensionPort[] = EXTENSIONS.flatMap(({ ports }) => ports ?? []);

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
