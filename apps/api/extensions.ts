/** The extensions of the API. Without a line here, the API serves no part of the extension. */
import type { Extension, ExtensionPort } from '@tandem/extension/extension';
import { openInference } from '@tandem/open-inference/extension';
import { outcomes } from '@tandem/outcomes/extension';
import { rollouts } from '@tandem/rollouts/extension';

export const EXTENSIONS: readonly Extension[] = [outcomes, rollouts, openInference];

/** The further ports of the API, each of which it serves if the port's variable is set. */
export const PORTS: readonly ExtensionPort[] = EXTENSIONS.flatMap(({ ports }) => ports ?? []);
