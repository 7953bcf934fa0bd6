/** All laws, in the order in which they run. */
import { keyspace } from './keyspace.ts';
import type { Law } from './law.ts';
import { outboxRelay } from './outbox-relay.ts';

export const LAWS: readonly Law[] = [outboxRelay, keyspace];
