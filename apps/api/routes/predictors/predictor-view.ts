/** A predictor as the wire has it: its policies, and who is served what. */
import { z } from '@hono/zod-openapi';
import { type Assignment, type Authority, type Certificate, UNTOUCHED } from '@tandem/freshness/certificate';
import { judge } from '@tandem/freshness/judge';
import type { Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';

export const PredictorSchema = z
  .strictObject({
    name: z.string(),
    keyType: z.enum(['int8', 'uuid', 'text']).meta({ description: 'The type of user ids' }),
    modelVersion: z.string().nullable().meta({ description: 'The one in force' }),
    variant: z.string().nullable(),
    generation: z.string().nullable().meta({ description: 'The one in force; null before the first full run' }),
    generationExpired: z
      .boolean()
      .nullable()
      .meta({ description: "Whether its oldest predictions are older than maxAge, on the database's clock" }),
    overlayFloor: z.int().nullable(),
    rolloutRevision: z.int().nullable(),
    expiresFrom: z.iso.datetime().nullable().meta({ description: 'Since a rollback, expiry counts from here' }),
    freshness: z.strictObject({
      maxAgeSeconds: z.number().nullable(),
      live: z.boolean(),
      liveTimeoutMs: z.number(),
      onLiveFailure: z.enum(['stale', 'default', 'error']),
      unverified: z.boolean(),
      default: z.record(z.string(), z.unknown()).nullable(),
      events: z.array(z.string()),
    }),
    batch: z.strictObject({ schedule: z.string().nullable(), chunkSize: z.int(), minCoverage: z.number() }),
  })
  .meta({ id: 'Predictor' });

type PredictorView = z.output<typeof PredictorSchema>;

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
  },
  batch: { schedule: '0 2 * * *', chunkSize: 5_000, minCoverage: 0.95 },
};

/** Port: the predictors that are adopted. */
export interface PredictorRegistry extends Registry {
  /** By name. */
  predictors(): Promise<readonly Predictor[]>;
}

export interface PredictorDependencies {
  readonly registry: PredictorRegistry;
  readonly authority: Authority;
}

export function predictorView(predictor: Predictor, certificate: Certificate): PredictorView {
  const assignment = certificate.assignments(predictor.name)?.stable;
  const { maxAgeMs, live, liveTimeoutMs, onLiveFailure, unverified, ...freshness } = predictor.policy.freshness;
  const { schedule, chunkSize, minCoverage } = predictor.policy.batch;
  const generation = assignment?.generation?.number;
  return {
    name: predictor.name,
    keyType: predictor.keyType,
    modelVersion: assignment === undefined ? null : String(assignment.modelNumber),
    variant: assignment?.arm ?? null,
    generation: generation === undefined ? null : String(generation),
    generationExpired: assignment ? isExpired(predictor, assignment, certificate) : null,
    overlayFloor: assignment?.overlayFloor ?? null,
    rolloutRevision: assignment?.revision ?? null,
    expiresFrom: typeof assignment?.expiresFrom === 'number' ? new Date(assignment.expiresFrom).toISOString() : null,
    freshness: {
      maxAgeSeconds: maxAgeMs === null ? null : maxAgeMs / 1000,
      live,
      liveTimeoutMs,
      onLiveFailure,
      unverified,
      default: freshness.default,
      events: [...freshness.events],
    },
    batch: { schedule, chunkSize, minCoverage },
  };
}

/** As the freshness rule judges the oldest prediction that the generation can hold; null where none is in force. */
function isExpired({ policy }: Predictor, assignment: Assignment, certificate: Certificate): boolean | null {
  const { generation, modelVersionId } = assignment;
  if (!generation) return null;
  const oldest = {
    layer: 'generation',
    source: 'batch',
    modelVersionId,
    generationId: generation.id,
    history: null,
    overlayFloor: null,
    contextVersion: 0,
    computedAt: generation.startedAt,
    outputs: Buffer.alloc(0),
  } as const;
  return judge(oldest, UNTOUCHED, assignment, certificate, policy.freshness) === 'expired';
}
