/** Parts of the forms that several settings share. */
import { z } from 'zod';

/** Adds a problem with its remedy; check-form.ts turns it into the config's own terms. */
export function refuse(ctx: z.RefinementCtx, message: string, remedy: string): void {
  ctx.addIssue({ code: 'custom', message, params: { remedy } });
}

/** Returns options that turn a type error of Zod into `is 5, not <what>`, with the remedy `write <what>`. */
export function form(what: string) {
  return { error: () => what };
}

export const CATEGORIES_FORM = 'an array of texts, or { values, as, unknown? }';
const MAX_CATEGORIES = 10_000;

export const categoryValues = z
  .array(z.string(form('a text in quotes')), form('an array of texts'))
  .max(MAX_CATEGORIES, form(`at most ${MAX_CATEGORIES} texts`))
  .superRefine((values, ctx) => {
    if (values.length === 0) refuse(ctx, 'is empty', "write the column's texts in the model's order");
    const seen = new Set<string>();
    const twice = values.find((text) => seen.size === seen.add(text).size);
    if (twice !== undefined) refuse(ctx, `has ${JSON.stringify(twice)} twice`, 'write each text once');
  });

export const category = z.strictObject(
  {
    values: categoryValues,
    as: z.enum(['index', 'one-hot'], form("'index' or 'one-hot'")),
    unknown: z
      .union(
        [z.number(), z.enum(['nan', 'zeros'])],
        form("a number or 'nan' for as: 'index', 'zeros' for as: 'one-hot'"),
      )
      .optional(),
  },
  form('an object of settings'),
);
