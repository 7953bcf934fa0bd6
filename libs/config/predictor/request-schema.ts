/** The form of the setting `request`: the features that each call sends. */
import { z } from 'zod';
import { CATEGORIES_FORM, category, categoryValues, form } from './schema-parts.ts';

const MAX_EXAMPLES = 20;
const REQUEST_VALUE = 'a number, true, false or a text';
const REQUEST_TYPE = "one of 'number', 'integer', 'boolean', 'string'";
const requestType = z.enum(['number', 'integer', 'boolean', 'string'], form(REQUEST_TYPE));
const requestValue = z.union([z.number(), z.boolean(), z.string()], form(REQUEST_VALUE));
const requestFeature = z.strictObject(
  {
    type: requestType,
    min: z.number(form('a number')).optional(),
    max: z.number(form('a number')).optional(),
    categories: z.union([categoryValues, category], form(CATEGORIES_FORM)).optional(),
    default: requestValue.optional(),
    examples: z
      .array(requestValue, form('an array of values'))
      .min(1, form('at least one value'))
      .max(MAX_EXAMPLES, form(`at most ${MAX_EXAMPLES} values`))
      .optional(),
  },
  form('a type, or { type, min?, max?, categories?, default?, examples? }'),
);
export const request = z.record(
  z.string(),
  z.union([requestType, requestFeature], form("a type such as 'number', or { type, default?, … }")),
  form('an object with a type for each request feature'),
);

export type ParsedRequest = z.infer<typeof request>;
export type ParsedRequestFeature = ParsedRequest[string];
