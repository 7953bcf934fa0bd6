/** What both stores hold for a user of a predictor, and what the freshness rule says of each. */
import { z } from '@hono/zod-openapi';
import type { Assignment, Certificate } from '@tandem/prediction/certificate';
import { type CandidateState, judge } from '@tandem/prediction/freshness';
import { decodeOutputs } from '@tandem/prediction/outputs';
import type { Predictor } from '@tandem/prediction/predictor';
import type { Registry } from '@tandem/prediction/read-prediction';
import type { StoredPrediction, StoredPredictions } from '@tandem/prediction/stored-prediction';

export interface CandidateDependencies {
  readonly online: StoredPredictions;
  readonly offline: StoredPredictions;
  readonly registry: Pick<Registry, 'modelVersion'>;
}

export const CandidateSchema = z
  .strictObject({
    store: z.enum(['redis', 'postgres']),
    layer: z.enum(['generation', 'overlay']),
    source: z.enum(['batch', 'live']),
    state: z.enum(['fresh', 'restarted', 'stale', 'expired', 'foreign', 'blocked']).openapi({
      description:
        '`stale`: from an older context; `expired`: older than maxAge; `restarted`: expiry counted from a rollback; `foreign`: of another generation, history, model version or floor; `blocked`: from before an erasure',
    }),
    prediction: z.record(z.string(), z.unknown()).nullable(),
    modelVersion: z.string().nullable(),
    generation: z.string().nullable().openapi({ description: 'Null where it is not the one in force' }),
    history: z.string().nullable(),
    overlayFloor: z.int().nullable(),
    predictedFromContextVersion: z.int(),
    computedAt: z.iso.datetime(),
    ageSeconds: z.int(),
  })
  .openapi('Candidate');

export type CandidateView = z.output<typeof CandidateSchema>;

export interface FoundCandidates {
  /** A store that did not answer is `failed`: it may hold more. */
  readonly stores: { readonly redis: 'ok' | 'failed'; readonly postgres: 'ok' | 'failed' };
  readonly candidates: readonly CandidateView[];
}

export async function findCandidates(
  { online, offline, registry }: CandidateDependencies,
  predictor: Predictor,
  assignment: Assignment,
  certificate: Certificate,
  userId: string,
): Promise<FoundCandidates> {
  const [redis, postgres] = await Promise.all(
    [online, offline].map((store) => store.find(assignment, [userId]).catch(() => null)),
  );
  const user = certificate.user(userId, predictor.name);
  const view = async (store: CandidateView['store'], candidate: StoredPrediction) => {
    const state = judge(candidate, user, assignment, certificate, predictor.policy.freshness);
    return candidateView({ store, candidate, state, assignment, now: certificate.now }, registry);
  };
  const candidates = await Promise.all([
    ...(redis?.get(userId) ?? []).map((candidate) => view('redis', candidate)),
    ...(postgres?.get(userId) ?? []).map((candidate) => view('postgres', candidate)),
  ]);
  return { stores: { redis: redis ? 'ok' : 'failed', postgres: postgres ? 'ok' : 'failed' }, candidates };
}

interface Judged {
  readonly store: CandidateView['store'];
  readonly candidate: StoredPrediction;
  readonly state: CandidateState;
  readonly assignment: Assignment;
  readonly now: number;
}

async function candidateView(judged: Judged, registry: CandidateDependencies['registry']): Promise<CandidateView> {
  const { store, candidate, state, assignment, now } = judged;
  const version = await registry.modelVersion(candidate.modelVersionId).catch(() => undefined);
  const isInForce = candidate.generationId !== null && candidate.generationId === assignment.generation?.id;
  return {
    store,
    layer: candidate.layer,
    source: candidate.source,
    state,
    prediction: version ? { ...decodeOutputs(version.outputs, candidate.outputs) } : null,
    modelVersion: version ? String(version.number) : null,
    generation: isInForce ? String(assignment.generation?.number) : null,
    history: candidate.history,
    overlayFloor: candidate.overlayFloor,
    predictedFromContextVersion: candidate.contextVersion,
    computedAt: new Date(candidate.computedAt).toISOString(),
    ageSeconds: Math.max(0, Math.floor((now - candidate.computedAt) / 1000)),
  };
}

export const CANDIDATE_EXAMPLE: CandidateView = {
  store: 'redis',
  layer: 'generation',
  source: 'batch',
  state: 'stale',
  prediction: { score: 0.412 },
  modelVersion: '2',
  generation: '17',
  history: null,
  overlayFloor: null,
  predictedFromContextVersion: 5,
  computedAt: '2026-11-24T02:00:11.250Z',
  ageSeconds: 31_842,
};
