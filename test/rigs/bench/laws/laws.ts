/** All laws, in the order in which they run. */
import type { Law } from './law.ts';
import { outboxRelay } from './outbox-relay.ts';

export const LAWS: readonly Law[] = [outboxRelay];
