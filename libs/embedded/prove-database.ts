/** The proofs at the start of a reading process: each path to Postgres, and the login of feature statements. */

import { isTandemError } from '@tandem/freshness/errors';
import { assertFeatureLogin } from '@tandem/offline-store/features/feature-login';
import { type DatabasePaths, provePaths } from '@tandem/offline-store/sql/paths';
import type { ReadingPools } from './open-pools.ts';

/** Something that a service depends on. */
export interface Part {
  readonly name: string;
  /** Whether no read can be answered without it; without the others, answers are slower. */
  readonly isEssential: boolean;
  /** Resolves where the part works; rejects otherwise. */
  check(): Promise<void>;
}

type ProvedPools = Pick<ReadingPools, 'pool' | 'features' | 'vital'>;

/**
 * Rejects with `config_invalid` if a path or the login is not suitable. The returned parts of readiness check again a
 * database that does not answer now.
 */
export async function proveDatabase(paths: DatabasePaths, pools: ProvedPools): Promise<readonly Part[]> {
  const { url, featuresUrl = url } = paths;
  const onPaths = await proved('database paths', async () => {
    await provePaths(paths, pools);
    return true;
  });
  if (featuresUrl === url) return [onPaths];
  return [onPaths, await proved('feature login', () => assertFeatureLogin(pools.pool, pools.features))];
}

/** @param prove false: there is more to be proved later */
async function proved(name: string, prove: () => Promise<boolean>): Promise<Part> {
  let isRight = false;
  const check = async () => {
    if (!isRight) isRight = await prove();
  };
  await check().catch((error: unknown) => {
    if (!isTandemError(error, 'unavailable')) throw error;
  });
  return { name, isEssential: true, check };
}
