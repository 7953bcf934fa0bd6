/** The faults of the catalogue, in the order in which they run. */
import { UsageError } from '../../command-line.ts';
import { crowdedUsers } from './crowded-users.ts';
import { deployments } from './deployments.ts';
import { failingWork } from './failing-work.ts';
import type { NamedFault } from './fault.ts';
import { fullStores } from './full-stores.ts';
import { killedInShutdown, killedPrograms } from './killed-programs.ts';
import { lostCache } from './lost-cache.ts';
import { lostHistory } from './lost-history.ts';
import { lostPostgres } from './lost-postgres.ts';
import { lostQueue } from './lost-queue.ts';
import { misbehavingModels } from './misbehaving-models.ts';
import { partitions } from './partitions.ts';
import { promotedStandby } from './promoted-standby.ts';
import { readmittedUsers } from './readmitted-users.ts';
import { repeatedEvents } from './repeated-events.ts';
import { replacedRedis } from './replaced-redis.ts';
import { slowPostgres } from './slow-postgres.ts';
import { starvedWork } from './starved-work.ts';
import { stoppedPrograms } from './stopped-programs.ts';
import { unannouncedRestores } from './unannounced-restores.ts';
import { withdrawnPredictions } from './withdrawn-predictions.ts';
import { wrongClocks } from './wrong-clocks.ts';

export const faults: readonly NamedFault[] = [
  ...lostCache,
  ...lostQueue,
  ...lostPostgres,
  ...withdrawnPredictions,
  ...slowPostgres,
  ...fullStores,
  ...failingWork,
  ...starvedWork,
  ...misbehavingModels,
  ...crowdedUsers,
  ...repeatedEvents,
  ...readmittedUsers,
  ...deployments,
  ...partitions,
  ...stoppedPrograms,
  ...wrongClocks,
  ...killedPrograms,
  ...killedInShutdown,
  ...lostHistory,
  ...unannouncedRestores,
  ...promotedStandby,
  ...replacedRedis,
];

/** Returns whether a fault sends events itself, or waits for an event of the load. */
export function sendsEvents(fault: NamedFault): boolean {
  return crowdedUsers.includes(fault) || repeatedEvents.includes(fault) || fault.name.startsWith('killed-at-event');
}

/**
 * Returns the faults whose names begin with one of these names, or all without names. Throws `UsageError`
 * if a name matches no fault.
 */
export function findFaults(names: readonly string[]): readonly NamedFault[] {
  if (names.length === 0) return faults;
  return names.flatMap((name) => {
    const found = faults.filter((fault) => fault.name === name);
    const named = found.length > 0 ? found : faults.filter((fault) => fault.name.startsWith(name));
    if (named.length > 0) return named;
    throw new UsageError(
      `--only: no fault is called ${name}; there are ${faults.map((fault) => fault.name).join(', ')}`,
    );
  });
}
