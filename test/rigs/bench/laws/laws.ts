/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { rolloutLooks } from './rollout-looks.ts';

export const LAWS: readonly Law[] = [rolloutLooks];
