/** The report of a generation as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { GenerationReportView } from '@tandem/client/generation-report';
import type { KeptReport, ReportStore } from '@tandem/prediction/runs/run-store';

export interface ReportDependencies {
  readonly reports: ReportStore;
}

export const generationParameter = z
  .string()
  .meta({ param: { name: 'generation', in: 'path' }, description: 'Its number', example: '18' });

const NUMBER = /^[1-9][0-9]{0,8}$/;

/** The number in the path; 0, which no generation has, where it is none. */
export function generationNumber(text: string | undefined): number {
  return NUMBER.test(text ?? '') ? Number(text) : 0;
}

const share = z.number().meta({ description: 'Share of the users in both generations, 0 to 1' });

const CoverageSchema = z
  .strictObject({
    before: z.int().meta({ description: 'In the generation that it was compared with' }),
    now: z.int(),
    both: z.int(),
    added: z.int(),
    gone: z.int(),
  })
  .meta({ id: 'GenerationCoverage' });

const SHIFT = {
  psi: z.number().meta({ description: 'Population stability index over 20 classes, of all users on each side' }),
  meanBefore: z.number(),
  meanNow: z.number(),
  meanDelta: z.number().meta({ description: 'Now minus before, of users in both' }),
  meanAbsoluteDelta: z.number(),
  p50AbsoluteDelta: z.number(),
  p99AbsoluteDelta: z.number(),
  largestDelta: z.number(),
  changed: share,
};
const ShiftSchema = z.strictObject(SHIFT).meta({ id: 'OutputShift' });

const FLIPS = {
  up: z.int().meta({ description: 'Users who reach the threshold now' }),
  down: z.int().meta({ description: 'Users who no longer do' }),
  rate: share,
};

const SegmentValueSchema = z
  .strictObject({
    value: z.string().nullable(),
    users: CoverageSchema,
    shift: z.union([ShiftSchema, z.null()]),
    flips: z.union([z.strictObject(FLIPS), z.null()]),
  })
  .meta({ id: 'SegmentValue' });

const FiguresSchema = z.strictObject({
  users: CoverageSchema,
  outputs: z.array(z.strictObject({ name: z.string(), ...SHIFT })),
  answers: z.array(z.strictObject({ name: z.string(), changed: share })).meta({ description: 'Texts and vectors' }),
  decision: z.union([z.strictObject({ output: z.string(), threshold: z.number(), ...FLIPS }), z.null()]),
  segments: z.array(
    z.strictObject({
      column: z.string(),
      values: z.array(SegmentValueSchema),
      others: z.union([SegmentValueSchema, z.null()]),
    }),
  ),
});

export const ReportSchema = z
  .strictObject({
    predictor: z.string(),
    generation: z.string(),
    against: z.string().nullable().meta({ description: 'The generation that it was compared with' }),
    verdict: z
      .enum(['passed', 'blocked', 'not_compared'])
      .meta({ description: 'blocked: held back until somebody approves of it' }),
    madeAt: z.iso.datetime(),
    tookMs: z.number(),
    figures: z.union([FiguresSchema, z.null()]),
    crossings: z.array(
      z.strictObject({
        setting: z.enum(['maxPsi', 'maxFlipRate', 'maxMeanDelta', 'minCoverage']),
        output: z.string().nullable(),
        value: z.number(),
        limit: z.number(),
      }),
    ),
    notes: z.array(z.string()).meta({ description: 'What was not compared or not judged, and why' }),
    movers: z
      .array(z.strictObject({ userId: z.string(), before: z.number(), now: z.number(), delta: z.number() }))
      .meta({ description: 'At most 20, furthest first, without who was erased since' }),
  })
  .meta({ id: 'GenerationReport' });

export function reportView(report: KeptReport): GenerationReportView {
  const { predictor, generation, against, verdict, madeAt, tookMs, figures, crossings, notes, movers } = report;
  return {
    predictor,
    generation: String(generation),
    against: against === null ? null : String(against),
    verdict,
    madeAt: madeAt.toISOString(),
    tookMs,
    figures,
    crossings,
    notes,
    movers,
  };
}
