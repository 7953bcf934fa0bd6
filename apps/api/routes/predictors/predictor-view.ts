/** A predictor in the wire format: its policies and assignments. */
import { type Assignment, type Certificate, UNTOUCHED } from '@tandem/freshness/certificate';
import { judge } from '@tandem/freshness/judge';
import type { Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import { refreshWindowMs } from '@tandem/prediction/refresh/refresh-pass';
import type { PredictorView } from '@tandem/wire/predictors';

export async function predictorView(
  registry: Pick<Registry, 'modelVersion'>,
  predictor: Predictor,
  certificate: Certificate,
): Promise<PredictorView> {
  const assignment = certificate.assignments(predictor.name)?.stable;
  const version = assignment && (await registry.modelVersion(assignment.modelVersionId));
  const { maxAgeMs, live, liveTimeoutMs, onLiveFailure, unverified, ...freshness } = predictor.policy.freshness;
  const { schedule, changedSchedule = null, budget = null, chunkSize, minCoverage } = predictor.policy.batch;
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
      events: freshness.events,
      refreshWithinMs: refreshWindowMs(predictor.policy, version),
    },
    batch: { schedule, changedSchedule, budget, chunkSize, minCoverage },
  };
}

/**
 * Returns whether the oldest prediction that the generation can contain is expired by the freshness rule; null without
 * a current generation.
 */
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
