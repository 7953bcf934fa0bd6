/** All laws, in the order in which they run. */
import { erasure } from './erasure.ts';
import type { Law } from './law.ts';
import { publication } from './publication.ts';

export const LAWS: readonly Law[] = [publication, erasure];
