/** A model version with everything that decides its answers, and what its trial showed. */
import { z } from '@hono/zod-openapi';
import type { ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import { ModelSchema, modelView } from './model-view.ts';

const TensorSchema = z.strictObject({
  name: z.string(),
  type: z.string().nullable(),
  shape: z.array(z.union([z.number(), z.string(), z.null()])),
});

const MetadataSchema = z
  .strictObject({
    inputs: z.array(TensorSchema),
    outputs: z.array(TensorSchema),
    opset: z.record(z.string(), z.int()).openapi({ description: 'Domain of operators → version' }),
    irVersion: z.int(),
    producer: z.string().openapi({ description: 'The program that wrote the file; empty: it does not say' }),
    bytes: z.int(),
  })
  .openapi('ModelMetadata');

const UsersSchema = z.strictObject({ real: z.int(), madeUp: z.int() });

const DifferenceSchema = z.strictObject({
  output: z.string(),
  alone: z.union([z.number(), z.string(), z.boolean()]),
  other: z.union([z.number(), z.string(), z.boolean()]),
  difference: z.number(),
  ofAllowed: z.number().openapi({ description: 'Of `difference` to what is allowed there: at most 1' }),
});

const ParitySchema = z
  .strictObject({
    users: UsersSchema.openapi({
      description: 'Whose answers were compared: alone, again, together, in another order',
    }),
    refused: UsersSchema.openapi({
      description: 'For whom the model has no answer',
    }),
    readBothWays: z.int().openapi({
      description: 'Users who get the same answer from what a live read reads of them and from what a run reads',
    }),
    batchSizes: z.array(z.int()),
    comparisons: z.int(),
    tolerance: z.number(),
    largestDifference: DifferenceSchema.nullable().openapi({ description: 'null: equal to the last bit' }),
  })
  .openapi('ParityCertificate');

export const ModelDetailSchema = z
  .strictObject({
    ...ModelSchema.shape,
    features: z.strictObject({
      sql: z.string(),
      columns: z.array(z.looseObject({ name: z.string(), kind: z.string() })),
      asOf: z.string().nullable(),
      overlayForMs: z.int().nullable(),
    }),
    rowByRow: z.boolean().openapi({ description: 'Whether each user is inferred alone' }),
    metadata: z.union([MetadataSchema, z.null()]).openapi({ description: 'What the file says of itself' }),
    parity: z.union([ParitySchema, z.null()]).openapi({ description: 'The certificate of its trial' }),
  })
  .openapi('ModelDetail');

export function modelDetail(model: ModelVersionRecord): z.input<typeof ModelDetailSchema> {
  const { query, rowByRow = false, metadata, parity } = model;
  return {
    ...modelView(model),
    features: { ...query, columns: query.columns.map((column) => ({ ...column })) },
    rowByRow,
    metadata: metadata as z.input<typeof MetadataSchema> | null,
    parity: parity as z.input<typeof ParitySchema> | null,
  };
}
