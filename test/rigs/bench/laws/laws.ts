/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { manyModels } from './many-models.ts';

export const LAWS: readonly Law[] = [manyModels];
