/** What the API's readiness is made of. */
import type { InferencePool } from '@tandem/inference/pool';
import type { createPool } from '@tandem/offline-store/database';
import { schemaState } from '@tandem/offline-store/migrate';
import type { OnlineConnection } from '@tandem/online-store/connection';
import type { Authority } from '@tandem/prediction/certificate';
import type { Part } from './routes/health/readiness.ts';

export interface ReadinessPartsDependencies {
  readonly pool: ReturnType<typeof createPool>;
  readonly authority: Authority;
  readonly connection: Pick<OnlineConnection, 'redis' | 'isOpen'>;
  readonly scorer: Pick<InferencePool, 'stats'>;
  /** Starts what infers, where there is a model to load. */
  warmUp(): Promise<void>;
}

export function createReadinessParts(dependencies: ReadinessPartsDependencies): readonly Part[] {
  const { pool, authority, connection, scorer, warmUp } = dependencies;
  return [
    { name: 'postgres', isEssential: true, check: async () => void (await authority.certify([])) },
    { name: 'schema', isEssential: true, check: () => checkSchema(pool) },
    // Reads go on without it, from Postgres' rows.
    { name: 'redis', isEssential: false, check: () => checkRedis(connection) },
    {
      // Stored predictions are served without it.
      name: 'inference',
      isEssential: false,
      // A service that started before its database, or its first model, has nothing loaded yet.
      check: async () => {
        if (scorer.stats().pids.length === 0) await warmUp();
      },
    },
  ];
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
