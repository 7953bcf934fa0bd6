/** Tells a statement that was ended for its time from a database that is not there: the first is the query's fault. */

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
