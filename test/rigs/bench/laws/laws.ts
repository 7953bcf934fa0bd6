/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { retention } from './retention.ts';
import { sustainedEvents } from './sustained-events.ts';

export const LAWS: readonly Law[] = [retention, sustainedEvents];
