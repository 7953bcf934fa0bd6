/** The comparison of an optimised build with its parent, the model version that it was made from. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

const MAX_COMPARED_USERS = 10_000;
export const COMPARED_USERS = 2_000;

export const CompareBuildSchema = z
  .strictObject({
    users: z
      .int()
      .min(1, 'expected at least 1')
      .max(MAX_COMPARED_USERS, `expected at most ${MAX_COMPARED_USERS}`)
      .optional()
      .meta({ description: `The most users to compare; default ${COMPARED_USERS}` }),
    labels: z
      .array(z.strictObject({ userId: z.string(), label: z.number() }))
      .min(1, 'expected at least one label; or leave out "labels"')
      .max(MAX_COMPARED_USERS, `expected at most ${MAX_COMPARED_USERS} labels`)
      .optional()
      .meta({ description: 'Observed labels. Only these users are compared. A label is 0 or 1, or any number' }),
  })
  .meta({ id: 'BuildComparisonRequest' });

const SideSchema = z
  .strictObject({
    modelVersion: z.string(),
    build: z
      .string()
      .nullable()
      .meta({ description: 'Kind of the build; null if the version is not an optimised build' }),
    artifact: z.string(),
    bytes: z.int(),
    rowByRow: z.boolean().meta({ description: 'Whether the version is pinned to infer each user alone' }),
    rowsAgree: z.boolean().nullable().meta({
      description:
        'Whether users get the same answers when they are inferred alone and in a batch, without the pin; null if there are fewer than two users',
    }),
    largestRowDifference: z.number().nullable().meta({
      description: 'Largest difference of an output between inference alone and in a batch; null if there is none',
    }),
    refused: z.int().meta({ description: 'Number of users without a usable answer from this version' }),
  })
  .meta({ id: 'ComparedVersion' });

const SpeedupSchema = z
  .strictObject({ median: z.number(), low: z.number(), high: z.number() })
  .meta({ description: 'Speed of the build relative to its parent; in 9 of 10 rounds it is above `low`' });

const PaceSchema = z.strictObject({
  parentUs: z.number().meta({ description: 'Median of the rounds: inference time for each user, in microseconds' }),
  buildUs: z.number(),
  speedup: SpeedupSchema,
});

const ClassFiguresSchema = z
  .strictObject({
    auc: z.number().nullable().meta({ description: 'Area under the ROC curve; null if all labels are equal' }),
    logLoss: z.number(),
  })
  .meta({ id: 'ClassFigures' });

const ErrorFiguresSchema = z
  .strictObject({ meanAbsoluteError: z.number(), rootMeanSquaredError: z.number() })
  .meta({ id: 'ErrorFigures' });

const FiguresSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({ kind: z.literal('classes'), parent: ClassFiguresSchema, build: ClassFiguresSchema })
    .meta({ id: 'ComparedClasses' }),
  z
    .strictObject({ kind: z.literal('errors'), parent: ErrorFiguresSchema, build: ErrorFiguresSchema })
    .meta({ id: 'ComparedErrors' }),
]);

const OutputSchema = z.strictObject({
  name: z.string(),
  changed: z.number().meta({ description: 'Share of users whose answer differs' }),
  meanDifference: z.number().nullable().meta({ description: 'Mean absolute difference; null if the output is a text' }),
  largestDifference: z.number().nullable(),
  rankCorrelation: z.number().nullable().meta({
    description: "Spearman's rank correlation; null if the output is not a single number, or if all values are equal",
  }),
});

const DecisionSchema = z.strictObject({
  output: z.string(),
  threshold: z.number(),
  up: z.int().meta({ description: 'Users who reach the threshold only with the build' }),
  down: z.int(),
  rate: z.number(),
  low: z.number().meta({ description: 'Lower bound of the rate at 95 %' }),
  high: z.number(),
});

export const BuildComparisonSchema = z
  .strictObject({
    predictor: z.string(),
    parent: SideSchema,
    build: SideSchema,
    users: z.strictObject({
      asked: z.int().meta({ description: 'Users requested' }),
      read: z.int().meta({ description: 'Users that both versions can score' }),
      compared: z.int().meta({ description: 'Users who got both answers' }),
    }),
    outputs: z.array(OutputSchema),
    decision: DecisionSchema.nullable().meta({
      description: 'Decisions that change with the build; null if the predictor declares no decision',
    }),
    labels: z.strictObject({ output: z.string(), users: z.int(), figures: FiguresSchema }).nullable().meta({
      description:
        'Quality against the sent labels; null if no labels were sent. `classes`: labels are 0 and 1, scores are from 0 to 1',
    }),
    pace: z.strictObject({ rounds: z.int(), alone: PaceSchema, together: PaceSchema.extend({ users: z.int() }) }),
  })
  .meta({ id: 'BuildComparison', description: 'An optimised build compared with its parent on real users' });

export type BuildComparisonView = Answered<typeof BuildComparisonSchema>;

/** The example of a comparison in the API documentation. */
export const BUILD_COMPARISON_EXAMPLE = {
  predictor: 'repurchase',
  parent: {
    modelVersion: '2',
    build: null,
    artifact: '5f1c0b7d9e3a46288c1d7f60b2a94e53d80c6f17a5b4e2939d0f8c7a6b5e4d3c',
    bytes: 1_830_412,
    rowByRow: false,
    rowsAgree: true,
    largestRowDifference: 1.2e-7,
    refused: 0,
  },
  build: {
    modelVersion: '3',
    build: 'int8',
    artifact: 'c17d2f9ab60e4853b1a7e5d40f9c8263e7f1b05a94d3826c5e0b7a19f4d8c2e6',
    bytes: 471_208,
    rowByRow: false,
    rowsAgree: true,
    largestRowDifference: null,
    refused: 0,
  },
  users: { asked: 2_000, read: 1_994, compared: 1_994 },
  outputs: [{ name: 'score', changed: 1, meanDifference: 0.0021, largestDifference: 0.0184, rankCorrelation: 0.9996 }],
  decision: { output: 'score', threshold: 0.5, up: 3, down: 5, rate: 0.004, low: 0.002, high: 0.0079 },
  labels: {
    output: 'score',
    users: 1_994,
    figures: {
      kind: 'classes',
      parent: { auc: 0.8204, logLoss: 0.4312 },
      build: { auc: 0.8201, logLoss: 0.4318 },
    },
  },
  pace: {
    rounds: 25,
    alone: { parentUs: 61.2, buildUs: 44.9, speedup: { median: 1.36, low: 1.29, high: 1.44 } },
    together: { users: 256, parentUs: 9.8, buildUs: 4.1, speedup: { median: 2.39, low: 2.31, high: 2.46 } },
  },
} satisfies BuildComparisonView;
