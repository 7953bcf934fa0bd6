/** A stored prediction of a user as the wire has it, with what the freshness rule says of it. */
import { z } from '@hono/zod-openapi';
import type { FoundCandidates, JudgedCandidate } from './find-candidates.ts';

export const StoresSchema = z
  .strictObject({ redis: z.enum(['ok', 'failed']), postgres: z.enum(['ok', 'failed']) })
  .meta({ description: 'A store that did not answer may hold more' });

export const CandidateSchema = z
  .strictObject({
    store: z.enum(['redis', 'postgres']),
    layer: z.enum(['generation', 'overlay']),
    source: z.enum(['batch', 'live']),
    state: z.enum(['fresh', 'restarted', 'stale', 'expired', 'foreign', 'blocked']).meta({
      description:
        '`stale`: from an older context; `expired`: older than maxAge; `restarted`: expiry counted from a rollback; `foreign`: of another generation, history, model version or floor; `blocked`: from before an erasure',
    }),
    prediction: z.record(z.string(), z.unknown()).nullable().meta({ description: 'Null where it cannot be read' }),
    modelVersion: z.string().nullable(),
    generation: z.string().nullable().meta({ description: 'Null where it is not the one in force' }),
    history: z.string().nullable(),
    overlayFloor: z.int().nullable(),
    predictedFromContextVersion: z.int(),
    computedAt: z.iso.datetime(),
    ageSeconds: z.int(),
  })
  .meta({ id: 'Candidate' });

type CandidateView = z.output<typeof CandidateSchema>;

/** @param now the database's clock, ms since 1970 */
export function candidatesView({ stores, candidates }: FoundCandidates, now: number) {
  return { stores, candidates: candidates.map((one) => candidateView(one, now)) };
}

function candidateView(judged: JudgedCandidate, now: number): CandidateView {
  const { store, stored, state, prediction, modelNumber, generationNumber } = judged;
  return {
    store,
    layer: stored.layer,
    source: stored.source,
    state,
    prediction: prediction && { ...prediction },
    modelVersion: modelNumber === null ? null : String(modelNumber),
    generation: generationNumber === null ? null : String(generationNumber),
    history: stored.history,
    overlayFloor: stored.overlayFloor,
    predictedFromContextVersion: stored.contextVersion,
    computedAt: new Date(stored.computedAt).toISOString(),
    ageSeconds: Math.max(0, Math.floor((now - stored.computedAt) / 1000)),
  };
}
