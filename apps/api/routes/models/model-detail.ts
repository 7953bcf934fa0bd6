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
    opset: z.record(z.string(), z.int()).meta({ description: 'Domain of operators → version' }),
    irVersion: z.int(),
    producer: z.string().meta({ description: 'The program that wrote the file; empty: it does not say' }),
    bytes: z.int(),
  })
  .meta({ id: 'ModelMetadata' });

const UsersSchema = z.strictObject({ real: z.int(), madeUp: z.int() });

const DifferenceSchema = z.strictObject({
  output: z.string(),
  alone: z.union([z.number(), z.string(), z.boolean()]),
  other: z.union([z.number(), z.string(), z.boolean()]),
  difference: z.number(),
  ofAllowed: z.number().meta({ description: 'Of `difference` to what is allowed there: at most 1' }),
});

const ParitySchema = z
  .strictObject({
    users: UsersSchema.meta({
      description: 'Whose answers were compared: alone, again, together, in another order',
    }),
    refused: UsersSchema.meta({
      description: 'For whom the model has no answer',
    }),
    readBothWays: z.int().meta({
      description: 'Users who get the same answer from what a live read reads of them and from what a run reads',
    }),
    batchSizes: z.array(z.int()),
    comparisons: z.int(),
    tolerance: z.number(),
    largestDifference: DifferenceSchema.nullable().meta({ description: 'null: equal to the last bit' }),
  })
  .meta({ id: 'ParityCertificate' });

export const ModelDetailSchema = z
  .strictObject({
    ...ModelSchema.shape,
    features: z.strictObject({
      sql: z.string(),
      columns: z.array(z.looseObject({ name: z.string(), kind: z.string() })),
      asOf: z.string().nullable(),
      overlayForMs: z.int().nullable(),
    }),
    rowByRow: z.boolean().meta({ description: 'Whether each user is inferred alone' }),
    metadata: z.union([MetadataSchema, z.null()]).meta({ description: 'What the file says of itself' }),
    parity: z.union([ParitySchema, z.null()]).meta({ description: 'The certificate of its trial' }),
  })
  .meta({ id: 'ModelDetail' });

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
