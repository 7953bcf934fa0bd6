/** The database of a command, over two pools: our own statements, and those that contain a feature query. */
import type { createPool } from '@tandem/offline-store/sql/database';
import type { DatabaseUrls } from './addresses.ts';

type Pool = ReturnType<typeof createPool>;

export interface Databases {
  readonly pool: Pool;
  /** Nothing that a query does to its session meets another statement; its login may have fewer rights. */
  readonly features: Pool;
}

export interface PoolChoice {
  readonly applicationName: string;
  readonly statementTimeoutMs?: number;
}

/**
 * Opens both for the time of the work. Rejects with `config_invalid` where the login of feature statements reaches another
 * database or lacks a right.
 */
export async function withDatabases<T>(
  urls: DatabaseUrls,
  choice: PoolChoice,
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const { createPool } = await import('@tandem/offline-store/sql/database');
  const { assertFeatureLogin, createFeaturePool } = await import('@tandem/offline-store/features/feature-login');
  const pool = createPool({ ...choice, url: urls.url, max: 2 });
  const applicationName = `${choice.applicationName}-features`;
  const features = createFeaturePool(urls, { ...choice, max: 2, applicationName });
  try {
    if (urls.featuresUrl !== urls.url) await assertFeatureLogin(pool, features);
    return await work({ pool, features });
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}
