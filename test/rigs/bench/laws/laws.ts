/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { manyPredictors } from './laws/many-predictors.ts';
import { widerPatterns } from './laws/wider-patterns.ts';

export const LAWS: readonly Law[] = [widerPatterns, manyPredictors];
