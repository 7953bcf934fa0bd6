/** Model versions: as entries of a list, and with every setting that decides their answers. */
import { z } from 'zod';
import { NUMBER_TEXT } from './numbers.ts';
import type { Answered } from './schema.ts';

const FORM = 'expected the number of a model version, as text';
export const VersionNumberSchema = z.string(FORM).regex(NUMBER_TEXT, FORM);

const ModelSchema = z
  .strictObject({
    predictor: z.string(),
    modelVersion: z.string().meta({ description: 'Number of the model version' }),
    artifact: z.string().meta({ description: 'The SHA-256 of the model file, in hex' }),
    bytes: z.int().meta({ description: 'Size of the file' }),
    createdAt: z.iso.datetime().meta({ description: 'When the version was first adopted or pushed' }),
    archivedAt: z.iso.datetime().nullable().meta({
      description:
        'When the version was archived; null if it is not archived. Lists leave out an archived version, and no rollout or rollback can select it',
    }),
    origin: z
      .strictObject({
        by: z.string().meta({ description: '`key:<name>` for an API key, `api` if keys are off, or `cli`' }),
        how: z.enum(['adopt', 'push']),
      })
      .meta({ description: 'Who added the version, and how: by a config or by a push' }),
    variants: z
      .array(z.string())
      .meta({ description: 'The arms that this version serves; empty if it is not serving traffic' }),
    labels: z.array(z.string()).meta({ description: 'Movable names that point to this version' }),
    verified: z.boolean().meta({
      description: 'Whether the version has a certificate of a trial; a label can only move to such a version',
    }),
    note: z.string(),
    metrics: z.record(z.string(), z.number()).meta({ description: 'Metrics given by the owner' }),
    build: z.string().nullable().meta({ description: 'The kind of an optimised build: `int8`, `pruned`, …' }),
    parent: z.string().nullable().meta({ description: 'The model version that an optimised build was made from' }),
    inputs: z
      .array(z.strictObject({ name: z.string(), type: z.string(), columns: z.array(z.string()) }))
      .meta({ description: 'The input tensors of the model, each filled from feature columns' }),
    outputs: z
      .array(
        z.strictObject({
          name: z.string(),
          output: z.string(),
          type: z.string(),
          width: z.int().nullable(),
          index: z.int(),
        }),
      )
      .meta({
        description:
          'The fields of a prediction: the tensor that each comes from, and its place in a row of that tensor. `width` is null for a single value, else the length of the vector',
      }),
  })
  .meta({ id: 'Model', description: 'A model version' });

export type ModelView = Answered<typeof ModelSchema>;

export const MODEL_EXAMPLE = {
  predictor: 'repurchase',
  modelVersion: '2',
  artifact: '5f1c0b7d9e3a46288c1d7f60b2a94e53d80c6f17a5b4e2939d0f8c7a6b5e4d3c',
  bytes: 1_830_412,
  createdAt: '2026-11-20T09:30:02.118Z',
  archivedAt: null,
  origin: { by: 'key:ci', how: 'push' },
  variants: ['stable'],
  labels: ['autumn'],
  verified: true,
  note: 'with returns',
  metrics: { auc: 0.82 },
  build: null,
  parent: null,
  inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders', 'returns'] }],
  outputs: [{ name: 'score', output: 'probabilities', type: 'float32', width: null, index: 1 }],
} satisfies ModelView;

export const ModelsSchema = z.strictObject({ models: z.array(ModelSchema) }).meta({ id: 'ListModelsAnswer' });

export const ModelsOfPredictorSchema = z.strictObject(ModelsSchema.shape).meta({ id: 'ListModelsOfPredictorAnswer' });

/** The query parameter of lists of model versions. */
export const ARCHIVED_QUERY = z.object({
  archived: z.enum(['true', 'false']).optional().meta({ description: '`true` also lists archived model versions' }),
});

const TensorSchema = z.strictObject({
  name: z.string(),
  type: z.string().nullable(),
  shape: z.array(z.union([z.number(), z.string(), z.null()])),
});

const MetadataSchema = z
  .strictObject({
    inputs: z.array(TensorSchema),
    outputs: z.array(TensorSchema),
    opset: z.record(z.string(), z.int()).meta({ description: 'Operator domain → opset version' }),
    irVersion: z.int(),
    producer: z.string().meta({ description: 'The program that wrote the file; empty if the file does not name it' }),
    bytes: z.int(),
  })
  .meta({ id: 'ModelMetadata' });

const UsersSchema = z.strictObject({ real: z.int(), madeUp: z.int() });

const DifferenceSchema = z.strictObject({
  output: z.string(),
  alone: z.union([z.number(), z.string(), z.boolean()]),
  other: z.union([z.number(), z.string(), z.boolean()]),
  difference: z.number(),
  ofAllowed: z.number().meta({ description: '`difference` divided by the allowed difference: at most 1' }),
});

const ParitySchema = z
  .strictObject({
    users: UsersSchema.meta({
      description: 'Users whose answers were compared: inferred alone, again, in a batch and in another order',
    }),
    refused: UsersSchema.meta({
      description: 'Number of users without a usable answer from the model',
    }),
    readBothWays: z.int().meta({
      description:
        'Number of users who get the same answer from features that a live read reads and from features that a run reads',
    }),
    batchSizes: z.array(z.int()),
    comparisons: z.int(),
    tolerance: z.number().meta({ description: 'Relative tolerance; 0 if answers must be equal to the last bit' }),
    largestDifference: DifferenceSchema.nullable().meta({
      description: 'Largest difference between answers of one user; null if all answers were equal to the last bit',
    }),
  })
  .meta({
    id: 'ParityCertificate',
    description:
      'The certificate of a trial: users got the same answers alone, again, in a batch, and from features read in both ways',
  });

export const ModelDetailSchema = z
  .strictObject({
    ...ModelSchema.shape,
    features: z.strictObject({
      sql: z.string(),
      columns: z.array(z.looseObject({ name: z.string(), kind: z.string() })),
      asOf: z.string().nullable(),
      overlayForMs: z.int().nullable(),
    }),
    request: z
      .array(z.looseObject({ name: z.string(), kind: z.string() }))
      .meta({ description: 'The features that each call sends; empty if there are none' }),
    rowByRow: z.boolean().meta({ description: 'Whether each user is inferred alone' }),
    metadata: z.union([MetadataSchema, z.null()]).meta({ description: 'Metadata of the model file' }),
    parity: z.union([ParitySchema, z.null()]).meta({ description: 'Certificate of the trial' }),
  })
  .meta({ id: 'ModelDetail' });

export type ModelDetailView = Answered<typeof ModelDetailSchema>;

export const MODEL_DETAIL_EXAMPLE = {
  ...MODEL_EXAMPLE,
  features: {
    sql: 'select customer_id as user_id, recency, orders, returns, loaded_at from customer_features',
    columns: [
      { name: 'recency', kind: 'number' },
      { name: 'orders', kind: 'integer' },
      { name: 'returns', kind: 'integer' },
    ],
    asOf: 'loaded_at',
    overlayForMs: null,
  },
  request: [],
  rowByRow: false,
  metadata: {
    inputs: [{ name: 'features', type: 'float32', shape: ['N', 3] }],
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['N', 2] }],
    opset: { 'ai.onnx': 17, 'ai.onnx.ml': 3 },
    irVersion: 8,
    producer: 'skl2onnx 1.17.0',
    bytes: 1_830_412,
  },
  parity: {
    users: { real: 93, madeUp: 64 },
    refused: { real: 0, madeUp: 0 },
    readBothWays: 32,
    batchSizes: [1, 2, 3, 7, 157, 1_024],
    comparisons: 1_664,
    tolerance: 1e-5,
    largestDifference: {
      output: 'score',
      alone: 0.8310412,
      other: 0.8310413,
      difference: 5.96e-8,
      ofAllowed: 0.00596,
    },
  },
} satisfies ModelDetailView;

export const LabelMoveSchema = z.strictObject({ version: VersionNumberSchema }).meta({ id: 'LabelMove' });

export const MovedLabelSchema = z
  .strictObject({
    predictor: z.string(),
    label: z.string(),
    from: z
      .string()
      .nullable()
      .meta({ description: 'The model version that had the label before; null if none had it' }),
    to: z.string(),
  })
  .meta({ id: 'MovedLabel' });

export const ArchiveSchema = z.strictObject({ archived: z.boolean() }).meta({ id: 'ArchiveChange' });
