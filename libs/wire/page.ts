/** The query parameters and the `next` field of a list in pages, newest first. */
import { z } from 'zod';

export const DEFAULT_LIMIT = 20;
export const MAX_LIMIT = 100;

/** The limit as in the OpenAPI document. */
const limitQuery = z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT).optional();

/**
 * Returns the query parameters of a page.
 * @param before the schema of `next`
 */
export function pageQuery<B extends z.ZodType>(before: B) {
  return z.object({
    limit: limitQuery,
    before: before.optional().meta({ description: '`next` of the previous page' }),
    predictor: z.string().optional().meta({ example: 'repurchase' }),
  });
}

/**
 * Returns the field `next` of a page.
 * @param before the schema of the query parameter `before`
 */
export function nextOf<B extends z.ZodType>(before: B) {
  return before.nullable().meta({ description: 'The value of `before` for the next page; null on the last page' });
}

export const LimitQuery = z.object({ limit: limitQuery });

/** The query parameters of a page of numbered rows. */
export const PageQuery = pageQuery(z.string());
export const UuidPageQuery = pageQuery(z.uuid());
