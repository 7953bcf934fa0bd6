/** What the API's readiness is made of. */

import type { Authority } from '@tandem/freshness/certificate';
import type { InferencePool } from '@tandem/inference/live/pool';
import type { createPool } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import type { OnlineConnection } from '@tandem/online-store/connection';
import type { KeptModels } from './keep-loaded.ts';
import type { Part } from './readiness.ts';

export interface ReadinessPartsDependencies {
  readonly pool: ReturnType<typeof createPool>;
  readonly authority: Authority;
  readonly connection: Pick<OnlineConnection, 'redis' | 'isOpen'>;
  readonly scorer: Pick<InferencePool, 'stats'>;
  readonly kept: Pick<KeptModels, 'assertServed' | 'ask'>;
}

export function createReadinessParts(dependencies: ReadinessPartsDependencies): readonly Part[] {
  const { pool, authority, connection } = dependencies;
  return [
    { name: 'postgres', isEssential: true, check: async () => void (await authority.certify([])) },
    { name: 'schema', isEssential: true, check: () => checkSchema(pool) },
    // Reads go on without it, from Postgres' rows.
    { name: 'redis', isEssential: false, check: () => checkRedis(connection) },
    // Stored predictions are served without it.
    { name: 'inference', isEssential: false, check: createInferenceCheck(dependencies) },
  ];
}

/**
 * That a child is alive proves little: it may be starting for the tenth time, or have been refused its model. So inference
 * works while each child holds the models that users are answered with, and one of them is free, or does what is asked of
 * it next.
 */
export function createInferenceCheck({
  scorer,
  kept,
}: Pick<ReadinessPartsDependencies, 'scorer' | 'kept'>): () => Promise<void> {
  /** One for all who ask: where nothing answers, questions must not pile up. */
  let asking: Promise<void> | undefined;
  return async () => {
    kept.assertServed();
    if (scorer.stats().idle > 0) return;
    asking ??= kept.ask().finally(() => {
      asking = undefined;
    });
    await asking;
  };
}

async function checkSchema(pool: ReadinessPartsDependencies['pool']): Promise<void> {
  const { state, pending } = await schemaState(pool);
  // A newer release migrates before it is rolled out: the older one serves on meanwhile.
  if (state === 'current' || state === 'ahead') return;
  throw new Error(`the schema is ${state}; not applied: ${pending.join(', ')}`);
}

async function checkRedis({ redis, isOpen }: ReadinessPartsDependencies['connection']): Promise<void> {
  if (!isOpen()) throw new Error('not connected, or not answering');
  await redis.ping();
}
