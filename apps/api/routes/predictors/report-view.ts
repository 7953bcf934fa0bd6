/** The report of a generation as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { GenerationReportView } from '@tandem/client/generation-report';
import type { KeptReport, ReportStore } from '@tandem/prediction/runs/run-store';

export interface ReportDependencies {
  readonly reports: ReportStore;
}

export const generationParameter = z
  .string()
  .openapi({ param: { name: 'generation', in: 'path' }, description: 'Its number', example: '18' });

const NUMBER = /^[1-9][0-9]{0,8}$/;

/** The number in the path; 0, which no generation has, where it is none. */
export function generationNumber(text: string | undefined): number {
  return NUMBER.test(text ?? '') ? Number(text) : 0;
}

const share = z.number().openapi({ description: 'Share of the users in both generations, 0 to 1' });

const CoverageSchema = z
  .strictObject({
    before: z.int().openapi({ description: 'In the generation that it was compared with' }),
    now: z.int(),
    both: z.int(),
    added: z.int(),
    gone: z.int(),
  })
  .openapi('GenerationCoverage');

const SHIFT = {
  psi: z.number().openapi({ description: 'Population stability index over 20 classes, of all users on each side' }),
  meanBefore: z.number(),
  meanNow: z.number(),
  meanDelta: z.number().openapi({ description: 'Now minus before, of users in both' }),
  meanAbsoluteDelta: z.number(),
  p50AbsoluteDelta: z.number(),
  p99AbsoluteDelta: z.number(),
  largestDelta: z.number(),
  changed: share,
};
const ShiftSchema = z.strictObject(SHIFT).openapi('OutputShift');

const FLIPS = {
  up: z.int().openapi({ description: 'Users who reach the threshold now' }),
  down: z.int().openapi({ description: 'Users who no longer do' }),
  rate: share,
};

const SegmentValueSchema = z
  .strictObject({
    value: z.string().nullable(),
    users: CoverageSchema,
    shift: z.union([ShiftSchema, z.null()]),
    flips: z.union([z.strictObject(FLIPS), z.null()]),
  })
  .openapi('SegmentValue');

const FiguresSchema = z.strictObject({
  users: CoverageSchema,
  outputs: z.array(z.strictObject({ name: z.string(), ...SHIFT })),
  answers: z.array(z.strictObject({ name: z.string(), changed: share })).openapi({ description: 'Texts and vectors' }),
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
    against: z.string().nullable().openapi({ description: 'The generation that it was compared with' }),
    verdict: z
      .enum(['passed', 'blocked', 'not_compared'])
      .openapi({ description: 'blocked: held back until somebody approves of it' }),
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
    notes: z.array(z.string()).openapi({ description: 'What was not compared or not judged, and why' }),
    movers: z
      .array(z.strictObject({ userId: z.string(), before: z.number(), now: z.number(), delta: z.number() }))
      .openapi({ description: 'At most 20, furthest first, without who was erased since' }),
  })
  .openapi('GenerationReport');

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
