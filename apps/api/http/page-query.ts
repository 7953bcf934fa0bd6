/** The query of a list that is given in pages, newest first: how many, and behind which. */
import { TandemError } from '@tandem/prediction/errors';

const DEFAULT_LIMIT = 20;
export const MAX_LIMIT = 100;

/** Throws `invalid_input`. */
export function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw queryProblem('limit', `not a whole number from 1 to ${MAX_LIMIT}`, `send 1 to ${MAX_LIMIT}`);
}

export function queryProblem(field: string, problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field}: ${problem}.`, { field, remedy });
}

/** What was asked for of what was found, where one more was asked for: that one tells whether there is a next page. */
export function pageOf<T>(
  found: readonly T[],
  limit: number,
  keyOf: (last: T) => string,
): { page: readonly T[]; next: string | null } {
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return { page, next: found.length > limit && last !== undefined ? keyOf(last) : null };
}

export const LIMIT_DEFAULT = DEFAULT_LIMIT;
