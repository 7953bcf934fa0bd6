/** The extensions of the command line. Without a line here, the command line has no part of the extension. */
import type { Extension } from '@tandem/extension/extension';
import { outcomes } from '@tandem/outcomes/extension';
import { rollouts } from '@tandem/rollouts/extension';
import { value } from '@tandem/value/extension';

export const EXTENSIONS: readonly Extension[] = [outcomes, rollouts, value];
