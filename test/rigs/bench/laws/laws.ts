/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { pooledStatements } from './pooled-statements.ts';

export const LAWS: readonly Law[] = [pooledStatements];
