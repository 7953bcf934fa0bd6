/** What a shadow found, as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { ShadowReport as WireReport } from '@tandem/client/shadow-report';
import type { DecisionPolicy } from '@tandem/freshness/predictor';
import type { KeptShadow } from '@tandem/offline-store/rollouts/shadow';
import { type ComparisonReport, reportShadow } from '@tandem/prediction/shadow/shadow-report';

const ratio = z.number().nullable();

const COMPARISONS = {
  compared: z.int(),
  differentShare: ratio.meta({ description: 'The share of answers that differ at all' }),
  meanDelta: ratio.meta({ description: 'Of candidate minus served' }),
  deviation: ratio,
  largestDelta: ratio,
  deltas: z
    .array(z.strictObject({ from: z.number().nullable(), to: z.number().nullable(), answers: z.int() }))
    .meta({ description: 'Classes of differences, from the most negative one; null: without a bound' }),
  flips: z
    .strictObject({
      up: z.int(),
      down: z.int(),
      rate: ratio,
      interval: z.strictObject({ low: z.number(), high: z.number() }).meta({ description: 'Of the rate, at 95 %' }),
    })
    .nullable()
    .meta({ description: 'Decisions that the candidate would have made otherwise; null: no threshold is declared' }),
};

const LatenciesSchema = z.array(
  z.strictObject({ toMs: z.number().nullable(), users: z.int() }).meta({ id: 'LatencyClass' }),
);

export const ShadowReportSchema = z
  .strictObject({
    rolloutId: z.uuid(),
    predictor: z.string(),
    state: z.string(),
    modelVersion: z.string().meta({ description: "The candidate's" }),
    share: z.number(),
    processes: z.int(),
    updatedAt: z.iso.datetime().nullable(),
    decision: z.strictObject({ output: z.string(), threshold: z.number() }).nullable(),
    outcomes: z.record(z.string(), z.int()).meta({
      description: 'Served answers of users who are shadowed, by what became of them: `compared`, or why not',
    }),
    everybody: z.strictObject(COMPARISONS),
    segments: z.array(z.strictObject({ feature: z.string(), value: z.string().nullable(), ...COMPARISONS })),
    joint: z
      .array(z.array(z.int()))
      .nullable()
      .meta({ description: "For each of 20 classes of served scores, the candidate's scores in the same classes" }),
    servedAgeSeconds: ratio.meta({ description: 'Mean age of compared answers when they were served' }),
    movers: z.array(
      z.strictObject({
        userId: z.string(),
        served: z.number(),
        candidate: z.number(),
        contextVersion: z.int(),
        computedAt: z.iso.datetime(),
      }),
    ),
    candidate: z.strictObject({
      featuresMs: LatenciesSchema,
      runMs: LatenciesSchema,
      usersRun: z.int(),
      cpuMsPerThousand: ratio,
      processesEnded: z.int(),
    }),
  })
  .meta({ id: 'ShadowReport' });

/** @param decision what the predictor decides by now */
export function shadowReportView(
  rolloutId: string,
  { predictor, state, plan, processes, updatedAt, rows, movers }: KeptShadow,
  decision: DecisionPolicy | null,
): WireReport {
  const { outcomes, everybody, segments, joint, servedAgeSeconds, candidate } = reportShadow(rows, decision !== null);
  return {
    ...{ rolloutId, predictor, state, modelVersion: String(plan.version), share: plan.share, processes },
    updatedAt: updatedAt?.toISOString() ?? null,
    ...{ decision, outcomes },
    everybody: comparisonsView(everybody),
    segments: segments.map(({ segment, ...comparisons }) => ({ ...segment, ...comparisonsView(comparisons) })),
    ...{ joint, servedAgeSeconds },
    movers: movers.map(({ computedAt, ...mover }) => ({ ...mover, computedAt: new Date(computedAt).toISOString() })),
    candidate,
  };
}

/** Without the classes at either end that nothing is in. */
function comparisonsView(comparisons: ComparisonReport): ComparisonReport {
  const { deltas } = comparisons;
  const first = deltas.findIndex(({ answers }) => answers > 0);
  const last = deltas.findLastIndex(({ answers }) => answers > 0);
  return { ...comparisons, deltas: first < 0 ? [] : deltas.slice(first, last + 1) };
}
