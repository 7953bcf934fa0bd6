/** Creates a database for each test, so that tests share neither the tables of the shop nor its clock. */
import { createEmptyDatabase } from '@tandem/testing/databases';
import { Pool, type PoolConfig } from 'pg';
import { inject } from 'vitest';

export interface ShopDatabase {
  readonly pool: Pool;
  close(): Promise<void>;
}

export async function createShopDatabase(): Promise<ShopDatabase> {
  const database = await createEmptyDatabase(inject('databaseUrl'));
  const pool = openPool({ connectionString: database.url, max: 4 });
  return {
    pool,
    close: async () => {
      await pool.end();
      await database.drop();
    },
  };
}

/** Opens a pool that ignores errors of ending connections: they may get one because their database is dropped. */
export function openPool(options: PoolConfig): Pool {
  const pool = new Pool(options);
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
