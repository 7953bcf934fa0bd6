/** The body of a push: the file, the changed settings of its definition, and the owner's note. */
import { z } from 'zod';
import { ARTIFACT_HASH } from './artifacts.ts';
import { VersionNumberSchema } from './models.ts';
import { TENSOR_TYPES } from './tensor-types.ts';

const MAX_NOTE = 2_000;
const MAX_METRICS = 64;
const MAX_NAME = 64;
const TENSOR_TYPE = `expected one of ${TENSOR_TYPES.join(', ')}`;
const tensorType = z.enum(TENSOR_TYPES, TENSOR_TYPE);

const FeaturesSchema = z
  .strictObject({
    sql: z.string().optional(),
    asOf: z.string().nullable().optional().meta({ description: 'null removes the setting of the served version' }),
    overlayFor: z
      .string()
      .nullable()
      .optional()
      .meta({ description: 'null removes the setting of the served version', example: '36h' }),
    nulls: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).optional(),
    categories: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({
    description: 'As `features` in a config. A setting that is left out is taken from the version that is served now',
  });

export const noteText = z.string().max(MAX_NOTE, `expected at most ${MAX_NOTE} characters`);

const MetricsSchema = z
  .record(z.string().min(1).max(MAX_NAME, `expected names of at most ${MAX_NAME} characters`), z.number())
  .refine((metrics) => Object.keys(metrics).length <= MAX_METRICS, `expected at most ${MAX_METRICS} metrics`)
  .meta({ description: 'Metrics that the owner measured', example: { auc: 0.82 } });

export const PushSchema = z
  .strictObject({
    artifact: z
      .string()
      .regex(ARTIFACT_HASH, 'expected the SHA-256 of an uploaded file, 64 hex digits in lower case')
      .meta({ description: 'The SHA-256 of an uploaded file' }),
    features: FeaturesSchema.optional(),
    request: z
      .record(z.string(), z.unknown())
      .nullable()
      .optional()
      .meta({ description: 'Request features, as in a config; null for none', example: { amount: 'number' } }),
    inputs: z
      .record(z.string(), z.strictObject({ type: tensorType, columns: z.array(z.string()) }))
      .nullable()
      .optional()
      .meta({ description: 'Inputs, as in a config; null to assign the columns automatically' }),
    outputs: z
      .record(
        z.string(),
        z.union([
          tensorType,
          z.strictObject({ from: z.string(), type: tensorType, index: z.int().optional(), width: z.int().optional() }),
        ]),
      )
      .optional()
      .meta({ description: 'Outputs, as in a config' }),
    rowByRow: z.boolean().optional().meta({ description: 'Whether to infer each user alone' }),
    note: noteText.optional(),
    metrics: MetricsSchema.optional(),
    label: z.string().optional().meta({ description: 'A label that is moved to the version', example: 'challenger' }),
    parent: VersionNumberSchema.optional().meta({
      description: 'The model version that an optimised build was made from',
    }),
    build: z
      .string()
      .min(1)
      .max(MAX_NAME)
      .optional()
      .meta({ description: 'Kind of the optimised build', example: 'int8' }),
  })
  .refine(({ parent, build }) => (parent === undefined) === (build === undefined), {
    path: ['build'],
    message: 'only one of parent and build is set; an optimised build needs both',
  })
  .meta({ id: 'Push' });

export type PushBody = z.output<typeof PushSchema>;

export const PushQuery = z.object({ note: z.string().optional(), label: z.string().optional() });
