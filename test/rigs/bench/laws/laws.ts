/** All laws, in the order in which they run. */
import type { Law } from './law.ts';

export const LAWS: readonly Law[] = [];
