/** The query of a list that is given in pages, newest first. */
import { z } from 'zod';

export const DEFAULT_LIMIT = 20;
export const MAX_LIMIT = 100;

/** The limit as in the OpenAPI document. */
const limitQuery = z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT).optional();

/** Returns the query parameters of a page. @param before what `next` of a page is */
export function pageQuery<B extends z.ZodType>(before: B) {
  return z.object({
    limit: limitQuery,
    before: before.optional().meta({ description: '`next` of the previous page' }),
    predictor: z.string().optional().meta({ example: 'repurchase' }),
  });
}

/** Returns the field `next` of a page. @param before what the query parameter `before` takes */
export function nextOf<B extends z.ZodType>(before: B) {
  return before.nullable().meta({ description: 'The value of `before` for the next page; null on the last page' });
}

export const LimitQuery = z.object({ limit: limitQuery });

/** The query of a page of numbered rows. */
export const PageQuery = pageQuery(z.string());
export const UuidPageQuery = pageQuery(z.uuid());
