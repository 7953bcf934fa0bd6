/** The answers of a shadow's candidate, compared with the served answers. */

import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';

const ratio = z.number().nullable();

const COMPARISONS = {
  compared: z.int(),
  differentShare: ratio.meta({ description: 'Share of answers that differ' }),
  meanDelta: ratio.meta({ description: 'Mean of candidate minus served' }),
  deviation: ratio,
  largestDelta: ratio,
  deltas: z.array(z.strictObject({ from: z.number().nullable(), to: z.number().nullable(), answers: z.int() })).meta({
    description:
      'Classes of differences, from the most negative to the most positive; a bound is null if the class is open',
  }),
  flips: z
    .strictObject({
      up: z.int(),
      down: z.int(),
      rate: ratio,
      interval: z
        .strictObject({ low: z.number(), high: z.number() })
        .meta({ description: '95 % confidence interval of the rate' }),
    })
    .nullable()
    .meta({
      description:
        'Decisions that differ between the candidate and the served answer; null if no threshold is declared',
    }),
};

const LatenciesSchema = z.array(
  z.strictObject({ toMs: z.number().nullable(), users: z.int() }).meta({ id: 'LatencyClass' }),
);

export const ShadowReportSchema = z
  .strictObject({
    rolloutId: z.uuid(),
    predictor: z.string(),
    state: z.string(),
    modelVersion: z.string().meta({ description: 'Model version of the candidate' }),
    share: z.number(),
    processes: z.int().meta({ description: 'API processes that have reported' }),
    updatedAt: z.iso.datetime().nullable().meta({ description: 'Time of the last report; null if there is none yet' }),
    decision: z.strictObject({ output: z.string(), threshold: z.number() }).nullable(),
    outcomes: z.record(z.string(), z.int()).meta({
      description: 'Served answers of shadowed users, by result: `compared`, or why the answer was not compared',
    }),
    everybody: z.strictObject(COMPARISONS),
    segments: z.array(z.strictObject({ feature: z.string(), value: z.string().nullable(), ...COMPARISONS })),
    joint: z.array(z.array(z.int())).nullable().meta({
      description:
        'Counts of users by class: a row for each of 20 classes of served scores, a column for each class of candidate scores',
    }),
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
  .meta({
    id: 'ShadowReport',
    description: "Answers of a shadow's candidate compared with the served answers",
  });

export type ShadowReportView = Answered<typeof ShadowReportSchema>;

/** An example for the API documentation and for tests of pages that show a report. */
export const SHADOW_REPORT_EXAMPLE: ShadowReportView = {
  rolloutId: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b12',
  predictor: 'repurchase',
  state: 'running',
  modelVersion: '3',
  share: 0.25,
  processes: 2,
  updatedAt: '2026-11-24T09:12:05.000Z',
  decision: { output: 'score', threshold: 0.5 },
  outcomes: { compared: 4000, context_differs: 12, repeated: 9120, over_rate: 310, failed: 2 },
  everybody: {
    ...{ compared: 4000, differentShare: 0.98, meanDelta: -0.004, deviation: 0.031, largestDelta: 0.41 },
    deltas: [
      { from: -0.05, to: -0.02, answers: 700 },
      { from: -0.001, to: 0.001, answers: 2500 },
      { from: 0.02, to: 0.05, answers: 800 },
    ],
    flips: { up: 12, down: 28, rate: 0.01, interval: { low: 0.0074, high: 0.0136 } },
  },
  segments: [
    {
      ...{ feature: 'country', value: 'DE', compared: 1400, differentShare: 0.99, meanDelta: 0.001 },
      ...{ deviation: 0.02, largestDelta: 0.2, deltas: [{ from: -0.001, to: 0.001, answers: 1400 }] },
      flips: { up: 3, down: 4, rate: 0.005, interval: { low: 0.0024, high: 0.0103 } },
    },
  ],
  joint: null,
  servedAgeSeconds: 25_920,
  movers: [{ userId: '42', served: 0.31, candidate: 0.72, contextVersion: 5, computedAt: '2026-11-24T09:11:58.120Z' }],
  candidate: {
    featuresMs: [{ toMs: 5, users: 4014 }],
    runMs: [{ toMs: 2, users: 4012 }],
    ...{ usersRun: 4012, cpuMsPerThousand: 3.1, processesEnded: 0 },
  },
};
