/**
 * Distinguishes a statement that exceeded its time limit from a database that does not answer: the first is the query's
 * fault.
 */

import { isTandemError } from '@tandem/freshness/errors';
import { sqlState } from '@tandem/offline-store/sql/database';
import { FeaturesTooSlow } from '@tandem/prediction/scoring/feature-source';

const CANCELED = '57014';

/** Whether Postgres ended the statement at its limit, or we did. */
export function isTooSlow(error: unknown): boolean {
  if (error instanceof FeaturesTooSlow) return true;
  if (!isTandemError(error, 'unavailable')) return false;
  if (sqlState(error) === CANCELED) return true;
  return error.cause instanceof Error && error.cause.message.startsWith('Query read timeout');
}
