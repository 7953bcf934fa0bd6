/** The errors that may stand in place of a prediction. */
import { TandemError } from './errors.ts';

export function notCertified(cause: unknown): TandemError {
  return new TandemError('unavailable', 'The database did not certify this read in time.', {
    cause,
    retryAfter: 1,
    remedy: 'try again after the time in Retry-After',
  });
}

export function notFound(userId: string): TandemError {
  return new TandemError('unknown_user', `There is no prediction and no feature row for user ${userId}.`, {
    field: 'userId',
    remedy: "check the id; a user is known once the predictor's feature query has a row for it",
  });
}

export function notCached(userId: string): TandemError {
  return new TandemError(
    'not_cached',
    `There is no fresh stored prediction of user ${userId}, and only-if-cached forbids to infer one.`,
    { remedy: 'leave out Cache-Control: only-if-cached, or add max-stale' },
  );
}

export function unknownPredictor(name: string): TandemError {
  return new TandemError('unknown_predictor', `There is no predictor ${JSON.stringify(name.slice(0, 80))}.`, {
    field: 'predictor',
    remedy: 'GET /v1/predictors lists them',
  });
}
