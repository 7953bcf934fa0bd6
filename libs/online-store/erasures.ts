/**
 * Erasures in Redis. The server is told first: the user's version hint, which keeps overlay entries from before out, and
 * the count. Then the user's fields in all generations and the overlay's entries are deleted. The hint stays; it holds a
 * version alone.
 */
import type { DeletedKeys, OnlineErasures, OnlinePlaces } from '@tandem/prediction/erasure/erasure';
import { isRefusal, unavailable } from './connection.ts';
import { createErasureCount, type ErasureCountDependencies } from './erasure-count.ts';
import { createHintStore } from './hint-store.ts';
import { bucketOf, createKeys, type Keys, placeOf } from './keys.ts';
import { type CommandLike, command } from './write-together.ts';

/** A longer write would hold up the server's other clients. */
const COMMANDS_A_WRITE = 1_000;

interface Delete {
  readonly of: keyof DeletedKeys;
  readonly command: CommandLike;
}

export function createErasures(dependencies: ErasureCountDependencies): OnlineErasures {
  const { connection, prefix } = dependencies;
  const keys = createKeys(prefix);
  const count = createErasureCount(dependencies);
  const hints = createHintStore(dependencies);

  return {
    told: count.told,
    restore: count.restore,
    async tell({ userId, history, version, number }) {
      await hints.raise([{ userId, history, version }]);
      await count.raise({ history, count: number });
    },
    async forget(userIds, places) {
      const all = userIds.flatMap((userId) => deletesOf(keys, userId, places));
      const deleted = { predictions: 0, overlayEntries: 0 };
      for (let i = 0; i < all.length; i += COMMANDS_A_WRITE) {
        const some = all.slice(i, i + COMMANDS_A_WRITE);
        const replies = await connection.send(some.map((one) => one.command));
        const refusal = replies.find(isRefusal);
        if (refusal) throw unavailable('it refused a command', refusal);
        some.forEach(({ of }, n) => {
          deleted[of] += Number(replies[n]);
        });
      }
      return deleted;
    },
  };
}

function deletesOf(keys: Keys, userId: string, { predictors, generations }: OnlinePlaces): Delete[] {
  const place = placeOf(userId);
  return [
    ...predictors.map((predictor) => ({
      of: 'overlayEntries' as const,
      command: command('unlink', [keys.overlay(place, predictor)]),
    })),
    ...generations.map(({ id, buckets }) => ({
      of: 'predictions' as const,
      command: command('hdel', [keys.bucket(id, bucketOf(place.hash, buckets)), place.field]),
    })),
  ];
}
