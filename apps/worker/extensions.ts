/** The extensions of the worker. Without a line here, the worker runs no round of the extension. */
import type { Extension } from '@tandem/extension/extension';
import { rollouts } from '@tandem/rollouts/extension';

export const EXTENSIONS: readonly Extension[] = [rollouts];
