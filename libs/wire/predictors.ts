/** A predictor: its policies and assignments. */
import { z } from 'zod';
import { OutputsSchema } from './predictions.ts';
import { BudgetSchema } from './runs.ts';
import type { Answered } from './schema.ts';

export const PredictorSchema = z
  .strictObject({
    name: z.string(),
    keyType: z.enum(['int8', 'uuid', 'text']).meta({ description: 'The type of user ids' }),
    modelVersion: z.string().nullable().meta({ description: 'The stable model version' }),
    variant: z.string().nullable(),
    generation: z.string().nullable().meta({ description: 'The current generation; null before the first full run' }),
    generationExpired: z.boolean().nullable().meta({
      description: "Whether the oldest predictions of the generation are older than maxAge, by the database's clock",
    }),
    overlayFloor: z.int().nullable(),
    rolloutRevision: z.int().nullable(),
    expiresFrom: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'The time of the rollback from which expiry counts; null if there was no rollback' }),
    freshness: z.strictObject({
      maxAgeSeconds: z.number().nullable(),
      live: z.boolean(),
      liveTimeoutMs: z.number(),
      onLiveFailure: z.enum(['stale', 'default', 'error']),
      unverified: z.boolean(),
      default: OutputsSchema.nullable(),
      events: z.array(z.string()),
      refreshWithinMs: z.number().nullable().meta({
        description: 'Time limit for re-scoring a user after an event; null if re-scoring is off',
      }),
    }),
    batch: z.strictObject({
      schedule: z.string().nullable().meta({ description: 'Schedule of full runs: a cron expression in UTC' }),
      changedSchedule: z
        .string()
        .nullable()
        .meta({ description: 'Schedule of runs for changed users: a cron expression in UTC' }),
      budget: BudgetSchema.nullable().meta({ description: 'Budget of scheduled runs; null if there is no limit' }),
      chunkSize: z.int(),
      minCoverage: z.number(),
    }),
  })
  .meta({ id: 'Predictor' });

export type PredictorView = Answered<typeof PredictorSchema>;

export const PREDICTOR_EXAMPLE: PredictorView = {
  name: 'repurchase',
  keyType: 'int8',
  modelVersion: '2',
  variant: 'stable',
  generation: '17',
  generationExpired: false,
  overlayFloor: 0,
  rolloutRevision: 18,
  expiresFrom: null,
  freshness: {
    maxAgeSeconds: 129_600,
    live: true,
    liveTimeoutMs: 50,
    onLiveFailure: 'stale',
    unverified: true,
    default: { score: 0.2 },
    events: ['order.*'],
    refreshWithinMs: 2_000,
  },
  batch: { schedule: '0 2 * * *', changedSchedule: null, budget: null, chunkSize: 5_000, minCoverage: 0.95 },
};

export const PredictorsSchema = z
  .strictObject({ predictors: z.array(PredictorSchema) })
  .meta({ id: 'ListPredictorsAnswer' });

const StableVersionSchema = z
  .strictObject({
    modelVersion: z.string(),
    since: z.iso.datetime(),
    until: z.iso.datetime().nullable().meta({ description: 'End of the period; null if the version is stable now' }),
    generation: z
      .string()
      .nullable()
      .meta({ description: 'The generation that a rollback to this version publishes; null if none is kept' }),
  })
  .meta({
    id: 'StableVersion',
    description: 'A period in which the stable arm of a predictor served one model version',
  });

export type StableVersionView = Answered<typeof StableVersionSchema>;

export const StableVersionsSchema = z
  .strictObject({ versions: z.array(StableVersionSchema) })
  .meta({ id: 'ListStableVersionsAnswer' });

export const STABLE_VERSIONS_EXAMPLE = [
  { modelVersion: '2', since: '2026-11-24T02:10:00.120Z', until: null, generation: '17' },
  { modelVersion: '1', since: '2026-10-02T08:11:47.530Z', until: '2026-11-24T02:10:00.120Z', generation: '15' },
];
