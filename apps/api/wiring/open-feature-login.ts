/** The login of feature statements, where it is another: looked at when the API starts, and until it was found right. */

import { isTandemError } from '@tandem/freshness/errors';
import { assertFeatureLogin } from '@tandem/offline-store/features/feature-login';
import type { createPool } from '@tandem/offline-store/sql/database';
import type { Part } from './readiness.ts';

type Pool = ReturnType<typeof createPool>;

/**
 * Rejects with `config_invalid` where the login will not do. A database that is away now is asked again by the part of
 * readiness that is returned.
 */
export async function openFeatureLogin(
  { url, featuresUrl = url }: { readonly url: string; readonly featuresUrl?: string },
  { pool, features }: { readonly pool: Pool; readonly features: Pool },
): Promise<readonly Part[]> {
  if (featuresUrl === url) return [];
  let isRight = false;
  const check = async () => {
    if (!isRight) isRight = await assertFeatureLogin(pool, features);
  };
  await check().catch((error: unknown) => {
    if (!isTandemError(error, 'unavailable')) throw error;
  });
  return [{ name: 'feature login', isEssential: true, check }];
}
