/** All laws, in the order in which they run. */
import { erasure } from './erasure.ts';
import { keyspace } from './keyspace.ts';
import type { Law } from './law.ts';
import { manyModels } from './many-models.ts';
import { manyPredictors } from './many-predictors.ts';
import { outboxRelay } from './outbox-relay.ts';
import { pooledStatements } from './pooled-statements.ts';
import { publication } from './publication.ts';
import { retention } from './retention.ts';
import { rolloutLooks } from './rollout-looks.ts';
import { sustainedEvents } from './sustained-events.ts';
import { widerPatterns } from './wider-patterns.ts';

export const LAWS: readonly Law[] = [
  retention,
  sustainedEvents,
  rolloutLooks,
  publication,
  erasure,
  outboxRelay,
  keyspace,
  widerPatterns,
  manyPredictors,
  manyModels,
  pooledStatements,
];
