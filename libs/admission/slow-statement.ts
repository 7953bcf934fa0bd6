/**
 * Distinguishes a statement that exceeded its time limit, which is the query's fault, from a database that does not
 * answer.
 */

import { isTandemError } from '@tandem/freshness/errors';
import { sqlState } from '@tandem/offline-store/sql/database';
import { FeaturesTooSlow } from '@tandem/prediction/scoring/feature-source';

const CANCELED = '57014';

/** Returns whether Postgres or this process cancelled the statement at its time limit. */
export function isTooSlow(error: unknown): boolean {
  if (error instanceof FeaturesTooSlow) return true;
  if (!isTandemError(error, 'unavailable')) return false;
  if (sqlState(error) === CANCELED) return true;
  return error.cause instanceof Error && error.cause.message.startsWith('Query read timeout');
}
