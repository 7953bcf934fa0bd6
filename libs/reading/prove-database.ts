/** Checks each path to Postgres, and the login of feature statements, when a reading process starts. */

import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { assertFeatureLogin } from '@tandem/offline-store/features/feature-login';
import { query, sqlState } from '@tandem/offline-store/sql/database';
import { loginRemedy } from '@tandem/offline-store/sql/login-remedies';
import { type DatabasePaths, DIRECT, provePaths } from '@tandem/offline-store/sql/paths';
import type { ReadingPools } from './open-pools.ts';

/** A part of readiness: a store or a path that a service depends on. */
export interface Part {
  readonly name: string;
  /** Whether reads fail without this part. Without a part that is not essential, reads are only slower. */
  readonly isEssential: boolean;
  /** Resolves if the part works; rejects otherwise. */
  check(): Promise<void>;
}

type ProvedPools = Pick<ReadingPools, 'pool' | 'features' | 'vital'>;

/**
 * Rejects with `config_invalid` if Postgres rejects a login, or if a database does not exist. Waiting fixes neither. A
 * server that does not answer now is accepted.
 */
export async function assertLogins({ directUrl, featuresUrl }: DatabasePaths, pools: ProvedPools): Promise<void> {
  const logins = [
    { variable: 'DATABASE_URL', pool: pools.pool },
    ...(directUrl === undefined ? [] : [{ variable: DIRECT, pool: pools.vital }]),
    ...(featuresUrl === undefined ? [] : [{ variable: 'FEATURES_DATABASE_URL', pool: pools.features }]),
  ];
  const asked = await Promise.all(
    logins.map(({ variable, pool }) =>
      query(pool, { text: 'select 1' }).then(
        () => undefined,
        (error: unknown) => rejectedLogin(error, variable),
      ),
    ),
  );
  const rejected = asked.find((error) => error !== undefined);
  if (rejected) throw rejected;
}

/** Returns the error for a rejected login or an unknown database; undefined for any other error. */
function rejectedLogin(error: unknown, field: string): TandemError | undefined {
  const remedy = loginRemedy(sqlState(error) ?? '', field);
  if (remedy === undefined) return undefined;
  const { message } = (isTandemError(error) ? error.cause : error) as Error;
  const text = `Postgres rejects the connection that ${field} asks for: ${message}.`;
  return new TandemError('config_invalid', text, { field, remedy, cause: error });
}

/**
 * Checks the paths and the login. Rejects with `config_invalid` if one is not suitable. The returned parts of readiness
 * repeat the check for a database that does not answer now.
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

/**
 * Returns a part of readiness that repeats its check until it has succeeded.
 * @param prove returns false if the check must be repeated
 */
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
