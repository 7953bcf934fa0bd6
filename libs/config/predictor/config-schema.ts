/**
 * The form of `tandem.config.ts`: its settings, and the values of each. setting-conflicts.ts checks combinations of
 * settings.
 */
import { parseDuration } from '@tandem/wire/durations';
import { TENSOR_TYPES } from '@tandem/wire/tensor-types';
import { z } from 'zod';
import { featureSqlFault } from '../feature-sql/feature-sql.ts';
import { eventPatternProblem } from './event-patterns.ts';
import { request } from './request-schema.ts';
import { scheduleProblem } from './schedule.ts';
import { CATEGORIES_FORM, category, categoryValues, form, refuse } from './schema-parts.ts';

export const PREDICTOR_NAME = /^[a-z][a-z0-9_-]{0,62}$/;

const flag = z.boolean(form('true or false'));
const name = z.string(form('a name in quotes')).min(1, form('a non-empty name'));
const tensorType = z.enum(TENSOR_TYPES, form(`one of ${TENSOR_TYPES.join(', ')}`));

function duration(longestMs: number, longest: string) {
  const what = `a duration in quotes, a whole number with ms, s, m, h or d, such as '36h'`;
  return z.string(form(what)).superRefine((text, ctx) => {
    const ms = parseDuration(text);
    if (ms === null) refuse(ctx, `${JSON.stringify(text)} is not a duration`, `write ${what}`);
    else if (ms > longestMs) refuse(ctx, `${text} is longer than ${longest}`, `at most ${longest}`);
  });
}

function whole(what: string, least: number, most: number) {
  return z.number(form(what)).superRefine((value, ctx) => {
    const fits = Number.isInteger(value) && value >= least && value <= most;
    if (!fits) refuse(ctx, `is ${value}, not ${what}`, `write ${what}`);
  });
}

const share = z
  .number(form('a number from 0 to 1'))
  .min(0, form('a number from 0 to 1'))
  .max(1, form('a number from 0 to 1'));

const SHARE_OF_USERS = 'a number above 0, up to 1';

const TEN_YEARS = 3650 * 86_400_000;

const nullValue = z.union([z.number(), z.boolean(), z.string()], form("a number, 'nan', or a text for a text column"));

const WATCH_KEY = 'must have either key or everyone';

const watch = z
  .strictObject(
    {
      table: name,
      key: name.optional(),
      everyone: z.literal(true, form('true, or left out')).optional(),
      columns: z.array(name, form('an array of columns')).min(1, form('at least one column')).optional(),
      maxUsers: whole('a whole number from 1 to 1000000', 1, 1_000_000).optional(),
    },
    form('{ table, key }'),
  )
  .superRefine(({ key, everyone }, ctx) => {
    if ((key === undefined) === (everyone === undefined)) {
      refuse(ctx, WATCH_KEY, "write key: 'customer_id' for the column with the user id, or everyone: true");
    }
  });

const features = z.strictObject(
  {
    sql: z.string(form('a select in quotes')).superRefine((sql, ctx) => {
      const fault = featureSqlFault(sql);
      if (fault) refuse(ctx, fault.problem, fault.remedy);
    }),
    asOf: name.optional(),
    overlayFor: duration(TEN_YEARS, '3650d').optional(),
    nulls: z.record(z.string(), nullValue, form('an object with a value for each column')).optional(),
    categories: z
      .record(
        z.string(),
        z.union([categoryValues, category], form(CATEGORIES_FORM)),
        form('an object with the categories of each column'),
      )
      .optional(),
    watch: z.array(watch, form('an array of { table, key }')).optional(),
  },
  form('an object of settings'),
);

const input = z.strictObject(
  {
    type: tensorType,
    columns: z.array(name, form('an array of feature columns')).superRefine((columns, ctx) => {
      if (columns.length === 0) refuse(ctx, 'is empty', "name feature columns in the tensor's order");
    }),
  },
  form('{ type, columns }'),
);

const output = z.strictObject(
  {
    from: name,
    type: tensorType,
    index: whole('a whole number from 0 to 65535', 0, 65_535).optional(),
    width: whole('a whole number from 1 to 65536', 1, 65_536).optional(),
  },
  form('an object of settings'),
);

const OUTPUT_FORM = 'a type, or { from, type, index?, width? }';

const pattern = z.string(form('a pattern in quotes')).superRefine((text, ctx) => {
  const problem = eventPatternProblem(text);
  if (problem) refuse(ctx, problem, "write an event type in which * matches any characters, such as 'order.*'");
});

const REFRESH_FORM = "{ within: '2s' }, or false";
const refresh = z.union([z.literal(false), z.strictObject({ within: duration(600_000, '10m') })], form(REFRESH_FORM));

const freshness = z.strictObject(
  {
    maxAge: duration(TEN_YEARS, '3650d').optional(),
    live: flag.optional(),
    liveTimeout: duration(30_000, '30s').optional(),
    onLiveFailure: z.enum(['stale', 'default', 'error'], form("'stale', 'default' or 'error'")).optional(),
    unverified: flag.optional(),
    // setting-conflicts.ts checks each value against the outputs.
    default: z.record(z.string(), z.unknown(), form('an object with a value for each output')).optional(),
    events: z.array(pattern, form('an array of event types')).optional(),
    refresh: refresh.optional(),
  },
  form('an object of settings'),
);

const cron = z.string(form('a cron expression in quotes')).superRefine((text, ctx) => {
  const problem = scheduleProblem(text);
  const remedy = "write minute hour day month weekday in UTC, such as '0 2 * * *' for 02:00 every night";
  if (problem) refuse(ctx, `${JSON.stringify(text)} is not a valid schedule: ${problem}`, remedy);
});

const SCHEDULE_FORM = "a cron expression in quotes, or { everyone: '0 3 * * 0', changed: '0 * * * *' }";
const schedules = z.strictObject({ everyone: cron, changed: cron }, form(SCHEDULE_FORM));

const SOME = 'a number above 0';
const BUDGET_FORM = '{ share: 0.25 } or { cpuMinutes: 30 }';
const budget = z
  .strictObject(
    {
      share: z.number(form(SHARE_OF_USERS)).gt(0, form(SHARE_OF_USERS)).max(1, form(SHARE_OF_USERS)).optional(),
      cpuMinutes: z.number(form(SOME)).gt(0, form(SOME)).optional(),
    },
    form(BUDGET_FORM),
  )
  .superRefine(({ share, cpuMinutes }, ctx) => {
    if ((share === undefined) === (cpuMinutes === undefined)) {
      refuse(ctx, 'must have either share or cpuMinutes', `write ${BUDGET_FORM}`);
    }
  });

const batch = z.strictObject(
  {
    schedule: z.union([cron, schedules], form(SCHEDULE_FORM)).optional(),
    budget: budget.optional(),
    chunkSize: whole('a whole number from 1 to 50000', 1, 50_000).optional(),
    minCoverage: share.optional(),
    planTimeout: duration(86_400_000, '24h').optional(),
  },
  form('an object of settings'),
);

const AT_LEAST_NONE = 'a number that is not negative';
const limit = z.number(form(AT_LEAST_NONE)).min(0, form(AT_LEAST_NONE));

const decision = z.strictObject({ output: name, threshold: z.number(form('a number')) }, form('{ output, threshold }'));

const MAX_SEGMENTS = 10;
const segments = z
  .array(name, form('an array of feature columns'))
  .max(MAX_SEGMENTS, form(`at most ${MAX_SEGMENTS} feature columns`));

const publish = z.strictObject(
  {
    maxPsi: limit.optional(),
    maxFlipRate: share.optional(),
    maxMeanDelta: limit.optional(),
    minCoverage: share.optional(),
    minUsers: whole('a whole number from 1 to 1000000000', 1, 1_000_000_000).optional(),
    reportTimeout: duration(3_600_000, '1h').optional(),
    onTimeout: z.enum(['hold', 'publish'], form("'hold' or 'publish'")).optional(),
  },
  form('an object of settings'),
);

const explanations = z.strictObject(
  {
    share: z.number(form(SHARE_OF_USERS)).max(1, form(SHARE_OF_USERS)),
    keepFor: duration(365 * 86_400_000, '365d').optional(),
  },
  form('{ share, keepFor? }'),
);

const predictor = z.strictObject(
  {
    model: name,
    features,
    request: request.optional(),
    inputs: z.record(z.string(), input, form('an object of input tensors')).optional(),
    outputs: z.record(z.string(), z.union([tensorType, output], form(OUTPUT_FORM)), form('an object of output fields')),
    rowByRow: flag.optional(),
    freshness: freshness.optional(),
    batch: batch.optional(),
    decision: decision.optional(),
    segments: segments.optional(),
    publish: publish.optional(),
    explanations: explanations.optional(),
  },
  form('an object of settings'),
);

export const configSchema = z.strictObject(
  {
    predictors: z.record(z.string(), predictor, form('an object of predictors')),
  },
  form('an object with predictors'),
);

/** Returns the settings that exist at a path, for suggestions. */
export function settingsAt(path: readonly PropertyKey[]): readonly string[] {
  const found = path.reduce<Forms>((forms, key) => forms.flatMap((one) => formsAt(one, key)), [configSchema]);
  return found.flatMap((one) => (one instanceof z.ZodObject ? Object.keys(one.shape) : []));
}

type Forms = readonly z.core.$ZodType[];

/** Returns the forms that a setting may have. */
function formsOf(schema: z.core.$ZodType | undefined): Forms {
  if (schema === undefined) return [];
  if (schema instanceof z.ZodOptional) return formsOf(schema.unwrap());
  return schema instanceof z.ZodUnion ? schema.options.flatMap(formsOf) : [schema];
}

function formsAt(schema: z.core.$ZodType, key: PropertyKey): Forms {
  if (schema instanceof z.ZodObject) return formsOf(schema.shape[String(key)]);
  if (schema instanceof z.ZodRecord) return formsOf(schema.valueType);
  return schema instanceof z.ZodArray ? formsOf(schema.element) : [];
}

export type ParsedConfig = z.infer<typeof configSchema>;
export type ParsedPredictor = ParsedConfig['predictors'][string];
export type ParsedOutputs = ParsedPredictor['outputs'];
