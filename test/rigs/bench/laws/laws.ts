/** All laws, in the order in which they run. */
import { erasure } from './erasure.ts';
import { publication } from './publication.ts';
import { retention } from './retention.ts';
import { rolloutLooks } from './rollout-looks.ts';
import { sustainedEvents } from './sustained-events.ts';
import type { Law } from './law.ts';

export const LAWS: readonly Law[] = [retention, sustainedEvents, rolloutLooks, publication, erasure];
