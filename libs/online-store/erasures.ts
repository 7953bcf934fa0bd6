/**
 * Erases users in Redis. First the version hint of the user, which rejects older overlay entries, and the count are
 * set. Then the user's fields in all generations and the overlay entries are deleted. The hint is kept, since it
 * contains only a version.
 */

import type { OnlineErasures, OnlineLocations } from '@tandem/prediction/erasure/erasure';
import { partsOf } from '@tandem/prediction/parts';
import { accepted, type StoreDependencies } from './connection.ts';
import { bucketOf, createKeys, type Keys, userKeyOf } from './keys.ts';
import { createHintStore } from './overlay-store.ts';
import { command } from './pipelined-commands.ts';
import { createCount } from './told-counts.ts';

/** The most commands of a write. A longer write would delay the server's other clients. */
const COMMANDS_A_WRITE = 1_000;

export function createErasures(dependencies: StoreDependencies): OnlineErasures {
  const { connection, prefix } = dependencies;
  const keys = createKeys(prefix);
  const count = createCount('erasures', dependencies);
  const hints = createHintStore(dependencies);

  return {
    told: count.told,
    restore: count.restore,
    async tell({ userId, history, version, number }) {
      await hints.raise([{ userId, history, version }]);
      await count.raise({ history, count: number });
    },
    async forget(userIds, locations) {
      const all = userIds.flatMap((userId) => deletesOf(keys, userId, locations));
      const deleted = { predictions: 0, overlayEntries: 0 };
      for (const some of partsOf(all, COMMANDS_A_WRITE)) {
        const replies = accepted(await connection.send(some.map((one) => one.command)));
        some.forEach(({ of }, n) => {
          deleted[of] += Number(replies[n]);
        });
      }
      return deleted;
    },
  };
}

function deletesOf(keys: Keys, userId: string, { predictors, generations }: OnlineLocations) {
  const user = userKeyOf(userId);
  return [
    ...predictors.map((predictor) => ({
      of: 'overlayEntries' as const,
      command: command('unlink', [keys.overlay(user, predictor)]),
    })),
    ...generations.map(({ id, buckets }) => ({
      of: 'predictions' as const,
      command: command('hdel', [keys.bucket(id, bucketOf(user.hash, buckets)), user.field]),
    })),
  ];
}
