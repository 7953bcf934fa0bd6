/** Parses the query of a paged list, newest first: page size, position, and predictor. */
import { invalidInput } from '@tandem/freshness/errors';
import { DEFAULT_LIMIT, MAX_LIMIT } from '@tandem/wire/page';
import type { HonoRequest } from 'hono';

/**
 * Parses the query of a page. Throws `invalid_input`.
 * @param isNext returns whether a text can be the `next` of a page; for other texts a store would fail with another
 * error
 * @param what the name of such a text, for example `the id of a run`
 */
export function pageIn({ req }: { req: HonoRequest }, isNext: (text: string) => boolean, what: string) {
  const limit = limitOf(req.query('limit'));
  const before = req.query('before');
  const predictor = req.query('predictor');
  if (before !== undefined && !isNext(before)) throw invalidInput('before', `is not ${what}`, "send the page's `next`");
  return {
    limit,
    ...(before === undefined ? {} : { before }),
    ...(predictor === undefined ? {} : { predictor }),
  };
}

/** Returns the size of a page. Throws `invalid_input`. */
export function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw invalidInput('limit', `is not a whole number from 1 to ${MAX_LIMIT}`, `send 1 to ${MAX_LIMIT}`);
}

/** Returns whether a text can be the `next` of a page whose rows are numbered. */
export function isRowNumber(text: string): boolean {
  return /^[1-9][0-9]{0,14}$/.test(text);
}

/**
 * Returns a page of rows. The query asks for one row more than the page; that row shows whether there is a next page.
 * @param list finds rows, newest first
 */
export async function pageOf<T, A extends { readonly limit: number }>(
  asked: A,
  list: (asked: A) => Promise<readonly T[]>,
  keyOf: (last: T) => string,
): Promise<{ page: readonly T[]; next: string | null }> {
  const { limit } = asked;
  const found = await list({ ...asked, limit: limit + 1 });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return { page, next: found.length > limit && last !== undefined ? keyOf(last) : null };
}
