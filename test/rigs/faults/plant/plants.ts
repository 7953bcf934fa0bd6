/** Every plant by its name: a child process receives only names. */
import { deleteOnEvent } from './controls/cache-aside.ts';
import { valuesByClock } from './controls/clock-order.ts';
import { unblocked, unverifiedWithoutTombstones } from './controls/erasure.ts';
import {
  historyWithoutDatabase,
  historyWithoutStartTime,
  recallLost,
  unprovenPublication,
  versionWithoutHistory,
} from './controls/history.ts';
import { baseAsAbove } from './controls/layers.ts';
import { relabelledRescoring } from './controls/rescoring.ts';
import { heldAssignment, overlayOfAnyArm, saltedByStep } from './controls/rollouts.ts';
import { joinedInFlight, versionAfterContext } from './controls/statements.ts';
import { eventAtTransactionStart, skewedClocks, stampAtCompletion } from './controls/timestamps.ts';
import { versionInRedis } from './controls/version-in-redis.ts';
import {
  bulkRaisesNothing,
  ddlUnnoticed,
  erasedUnlocked,
  lookedUpInStatement,
  undurableForReplicas,
} from './controls/watched.ts';
import { pointerInRedis, shortETag } from './controls/wire.ts';
import { demandedNotNamed, withdrawalsNotCompared, withdrawalsNotRaised } from './controls/withdrawals.ts';
import { failpoints } from './failpoints.ts';
import type { Plant } from './patch.ts';

export const plants: readonly Plant[] = [
  failpoints,
  stampAtCompletion,
  eventAtTransactionStart,
  skewedClocks,
  deleteOnEvent,
  versionInRedis,
  versionAfterContext,
  joinedInFlight,
  pointerInRedis,
  shortETag,
  versionWithoutHistory,
  recallLost,
  historyWithoutDatabase,
  unprovenPublication,
  historyWithoutStartTime,
  valuesByClock,
  unverifiedWithoutTombstones,
  unblocked,
  heldAssignment,
  overlayOfAnyArm,
  saltedByStep,
  bulkRaisesNothing,
  lookedUpInStatement,
  undurableForReplicas,
  ddlUnnoticed,
  erasedUnlocked,
  relabelledRescoring,
  baseAsAbove,
  withdrawalsNotCompared,
  withdrawalsNotRaised,
  demandedNotNamed,
];

/** Returns the named plants. Throws if a name is unknown. */
export function findPlants(names: readonly string[]): readonly Plant[] {
  return names.map((name) => {
    const found = plants.find((plant) => plant.name === name);
    if (found) return found;
    throw new Error(
      `there is no plant ${JSON.stringify(name)}; choose from ${plants.map((one) => one.name).join(', ')}`,
    );
  });
}
