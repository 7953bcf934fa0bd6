/** The common parts of endpoints that take several entries at once. */
import { TandemError } from '@tandem/freshness/errors';

/** Counts results by status, when the wide event is written. */
export function countStatuses(results: readonly { readonly status: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Returns the error with another field. */
export function withField(error: TandemError, field: string): TandemError {
  const { code, message, remedy, retryAfter } = error;
  return new TandemError(code, message, {
    field,
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}
