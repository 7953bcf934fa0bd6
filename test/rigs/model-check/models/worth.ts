/**
 * The central rule. The models call the product's own `judge`, so that they check the code that decides. Predictions in
 * the models do not expire, because expiry is the only decision of a clock in `judge`.
 */
import type { GenerationLayer } from '@tandem/freshness/certificate';
import { isFresh, judge } from '@tandem/freshness/judge';
import type { Label } from '@tandem/freshness/stored-prediction';

/** The fields of a stored prediction that the rule reads. Numbers stand for ids. */
export interface Candidate {
  readonly label: number;
  readonly model?: number;
  /** The generation of a row. It is null or absent for an entry of the overlay. */
  readonly generation?: number | null;
  readonly history?: number | string;
  readonly floor?: number;
}

/** The certificate of one user of one predictor. */
export interface Told {
  readonly version: number;
  /** The version of the last event that concerns the predictor. If absent, every event concerns it. */
  readonly touched?: number;
  readonly deleted?: number;
  readonly model?: number;
  readonly generation?: number | null;
  /** Whether a watched source has changed in bulk since the generation was computed. */
  readonly isOutdated?: boolean;
  /** The base of the generation. */
  readonly base?: { readonly generation: number; readonly isOutdated: boolean } | null;
  readonly history?: number | string;
  readonly floor?: number;
}

export type Worth = ReturnType<typeof judge>;

const NEVER_EXPIRES = { maxAgeMs: null };

export function worthOf(candidate: Candidate, told: Told): Worth {
  const { version, deleted = 0, model = 1, generation = null, isOutdated = false, history = 1, floor = 0 } = told;
  const { base = null } = told;
  const user = { version, touched: told.touched ?? version, deletedVersion: deleted };
  const assignment = {
    ...{ predictor: 'p', arm: 'stable', modelNumber: 1, revision: 0, expiresFrom: null },
    modelVersionId: String(model),
    generation:
      generation === null
        ? null
        : { ...layerOf(generation, isOutdated), base: base && layerOf(base.generation, base.isOutdated) },
    overlayFloor: floor,
  };
  return judge(labelOf(candidate), user, assignment, { history: String(history), now: 0 }, NEVER_EXPIRES);
}

function layerOf(generation: number, isOutdated: boolean): GenerationLayer {
  return { id: String(generation), number: generation, buckets: 1, startedAt: 0, isOutdated };
}

export function isFreshUnder(told: Told, candidate: Candidate): boolean {
  return isFresh(worthOf(candidate, told));
}

function labelOf({ label, model = 1, generation = null, history = 1, floor = 0 }: Candidate): Label {
  const isOverlay = generation === null;
  return {
    layer: isOverlay ? 'overlay' : 'generation',
    source: 'batch',
    contextVersion: label,
    modelVersionId: String(model),
    generationId: isOverlay ? null : String(generation),
    history: isOverlay ? String(history) : null,
    overlayFloor: isOverlay ? floor : null,
    computedAt: 0,
  };
}
