/** Creates a database for each test, so that tests share neither the tables of the shop nor its clock. */
import { createEmptyDatabase } from '@tandem/testing/databases';
import { Pool } from 'pg';
import { inject } from 'vitest';

export interface ShopDatabase {
  readonly pool: Pool;
  close(): Promise<void>;
}

export async function createShopDatabase(): Promise<ShopDatabase> {
  const database = await createEmptyDatabase(inject('databaseUrl'));
  const pool = new Pool({ connectionString: database.url, max: 4 });
  // A connection that is about to end may still get an error because its database is dropped.
  pool.on('error', () => {});
  return {
    pool,
    close: async () => {
      await pool.end();
      await database.drop();
    },
  };
}
