/** An optimised build beside its parent as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { BuildFigures, BuildSide } from '@tandem/admission/build-figures';
import type { BuildComparison } from '@tandem/client/builds';

const SideSchema = z
  .strictObject({
    modelVersion: z.string(),
    build: z.string().nullable().meta({ description: 'Its kind; null: no build itself' }),
    artifact: z.string(),
    bytes: z.int(),
    rowByRow: z.boolean().meta({ description: 'Whether it is pinned: each user is inferred alone' }),
    rowsAgree: z.boolean().nullable().meta({
      description: 'Whether users get the same answers alone and together, were it not pinned; null: fewer than two',
    }),
    largestRowDifference: z.number().nullable().meta({ description: 'Of an output, alone and together; null: none' }),
    refused: z.int().meta({ description: 'Users for whom it gave no usable answer' }),
  })
  .meta({ id: 'ComparedVersion' });

const SpeedupSchema = z
  .strictObject({ median: z.number(), low: z.number(), high: z.number() })
  .meta({ description: 'How many times as fast as its parent the build is, of the rounds: 9 of 10 above `low`' });

const PaceSchema = z.strictObject({
  parentUs: z.number().meta({ description: 'Microseconds of a run a user, the median of the rounds' }),
  buildUs: z.number(),
  speedup: SpeedupSchema,
});

const ClassFiguresSchema = z
  .strictObject({ auc: z.number().nullable(), logLoss: z.number() })
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
  changed: z.number().meta({ description: 'Share of users with another answer' }),
  meanDifference: z.number().nullable().meta({ description: 'Absolute; null: texts' }),
  largestDifference: z.number().nullable(),
  rankCorrelation: z.number().nullable().meta({ description: "Spearman's; null: no single number, or no spread" }),
});

const DecisionSchema = z.strictObject({
  output: z.string(),
  threshold: z.number(),
  up: z.int().meta({ description: 'Users who reach the threshold with the build alone' }),
  down: z.int(),
  rate: z.number(),
  low: z.number().meta({ description: 'Where the rate lies at 95 %: from' }),
  high: z.number(),
});

export const BuildComparisonSchema = z
  .strictObject({
    predictor: z.string(),
    parent: SideSchema,
    build: SideSchema,
    users: z.strictObject({ asked: z.int(), read: z.int(), compared: z.int() }),
    outputs: z.array(OutputSchema),
    decision: DecisionSchema.nullable().meta({ description: 'null: the predictor declares no decision' }),
    labels: z
      .strictObject({ output: z.string(), users: z.int(), figures: FiguresSchema })
      .nullable()
      .meta({ description: 'null: none were sent. `classes`: of labels 0 and 1 and scores from 0 to 1' }),
    pace: z.strictObject({ rounds: z.int(), alone: PaceSchema, together: PaceSchema.extend({ users: z.int() }) }),
  })
  .meta({ id: 'BuildComparison' });

export function buildComparisonView(predictor: string, figures: BuildFigures): BuildComparison {
  const { parent, build, users, agreement, labels, paces } = figures;
  return {
    predictor,
    parent: sideView(parent),
    build: sideView(build),
    users,
    outputs: agreement.outputs,
    decision: agreement.decision,
    labels,
    pace: paces,
  };
}

function sideView({ number, kind, artifact, bytes, rowByRow, parity, refused }: BuildSide): BuildComparison['build'] {
  return {
    modelVersion: String(number),
    build: kind,
    artifact,
    bytes,
    rowByRow,
    rowsAgree: parity.rowsAgree,
    largestRowDifference: parity.largestDifference,
    refused,
  };
}
