import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Assignment, UserState } from './certificate.ts';
import { fits, isFresh, judge } from './judge.ts';
import type { StoredPrediction } from './stored-prediction.ts';

const hour = 3_600_000;
const now = 1_800_000_000_000;
const assignment: Assignment = {
  predictor: 'repurchase',
  arm: 'stable',
  modelVersionId: 'm2',
  modelNumber: 2,
  overlayFloor: 3,
  revision: 9,
  expiresFrom: null,
  generation: { id: 'g7', number: 7, buckets: 4, startedAt: now - hour, isOutdated: false, base: null },
};
const fromGeneration: StoredPrediction = {
  layer: 'generation',
  source: 'batch',
  contextVersion: 5,
  modelVersionId: 'm2',
  generationId: 'g7',
  history: null,
  overlayFloor: null,
  computedAt: now - hour,
  outputs: Buffer.alloc(4),
};
const fromOverlay: StoredPrediction = {
  ...fromGeneration,
  layer: 'overlay',
  source: 'live',
  generationId: null,
  history: 'h1',
  overlayFloor: 3,
};
const user: UserState = { version: 5, touched: 5, deletedVersion: 0 };
const certificate = { history: 'h1', now };
const policy = { maxAgeMs: 2 * hour };

function state(
  candidate: StoredPrediction,
  changes: { user?: Partial<UserState>; assignment?: Partial<Assignment>; history?: string } = {},
) {
  return judge(
    candidate,
    { ...user, ...changes.user },
    { ...assignment, ...changes.assignment },
    { ...certificate, history: changes.history ?? 'h1' },
    policy,
  );
}

describe('judge', () => {
  it('calls a label fresh if it is at the version of the last event that concerns the predictor', () => {
    expect(state(fromGeneration)).toBe('fresh');
    expect(state(fromOverlay)).toBe('fresh');
  });

  it('calls a label below that version stale, and ignores events that concern other predictors', () => {
    expect(state(fromGeneration, { user: { version: 6, touched: 6 } })).toBe('stale');
    expect(state(fromGeneration, { user: { version: 9, touched: 5 } })).toBe('fresh');
  });

  it('calls a whole generation stale after a bulk change of a watched source, but not overlay entries above the raised floor', () => {
    const generation = assignment.generation && { ...assignment.generation, isOutdated: true };
    expect(state(fromGeneration, { assignment: { generation } })).toBe('stale');
    expect(state(fromOverlay, { assignment: { generation } })).toBe('fresh');
    expect(state(fromOverlay, { assignment: { generation, overlayFloor: 4 } })).toBe('foreign');
  });

  it('calls nothing fresh while a watch may have missed changes', () => {
    expect(state(fromGeneration, { assignment: { isUnwatched: true } })).toBe('stale');
    expect(state(fromOverlay, { assignment: { isUnwatched: true } })).toBe('stale');
    expect(state({ ...fromOverlay, overlayFloor: 2 }, { assignment: { isUnwatched: true } })).toBe('foreign');
  });

  it('calls a candidate foreign if Postgres does not assign it', () => {
    expect(state({ ...fromGeneration, generationId: 'g6' })).toBe('foreign');
    expect(state({ ...fromGeneration, modelVersionId: 'm1' })).toBe('foreign');
    expect(state(fromGeneration, { assignment: { generation: null } })).toBe('foreign');
    expect(state({ ...fromOverlay, overlayFloor: 2 })).toBe('foreign');
    expect(state(fromOverlay, { assignment: { overlayFloor: 4 } })).toBe('foreign');
    expect(state({ ...fromOverlay, modelVersionId: 'm1' })).toBe('foreign');
  });

  it('trusts overlay labels of this history only, and published generations in every history', () => {
    expect(state(fromOverlay, { history: 'h2' })).toBe('foreign');
    expect(state(fromGeneration, { history: 'h2' })).toBe('fresh');
  });

  it('blocks every prediction that was computed before the user was erased', () => {
    expect(state(fromGeneration, { user: { version: 6, touched: 5, deletedVersion: 5 } })).toBe('blocked');
    expect(
      state({ ...fromGeneration, contextVersion: 6 }, { user: { version: 6, touched: 5, deletedVersion: 5 } }),
    ).toBe('fresh');
  });

  it('expires predictions by age on Postgres’ clock; a rollback restarts the age of its generation', () => {
    const old = { computedAt: now - 3 * hour };
    expect(state({ ...fromGeneration, ...old })).toBe('expired');
    expect(state({ ...fromGeneration, ...old }, { assignment: { expiresFrom: now - hour } })).toBe('restarted');
    expect(state({ ...fromGeneration, ...old }, { assignment: { expiresFrom: now - 3 * hour } })).toBe('expired');
    expect(state({ ...fromOverlay, ...old }, { assignment: { expiresFrom: now - hour } })).toBe('expired');
  });

  it('judges a row of the base like a row of the generation above, except for bulk changes since its own run', () => {
    const base = { id: 'g5', number: 5, buckets: 4, startedAt: now - hour, isOutdated: false };
    const labels = fc.record({ label: fc.nat({ max: 4 }), touched: fc.nat({ max: 4 }), deleted: fc.nat({ max: 4 }) });
    fc.assert(
      fc.property(labels, fc.boolean(), fc.boolean(), fc.nat({ max: 4 * hour }), (n, own, below, age) => {
        const generation = assignment.generation && {
          ...{ ...assignment.generation, isOutdated: own },
          base: { ...base, isOutdated: below },
        };
        const changes = { user: { ...n, version: 4, deletedVersion: n.deleted }, assignment: { generation } };
        const row = { ...fromGeneration, contextVersion: n.label, computedAt: now - age };
        const alone = (isOutdated: boolean) =>
          state(row, {
            ...changes,
            assignment: { generation: generation && { ...generation, isOutdated, base: null } },
          });
        expect(state({ ...row, generationId: 'g5' }, changes)).toBe(alone(below));
        expect(state(row, changes)).toBe(alone(own));
        expect(state({ ...row, generationId: 'g6' }, changes)).toBe('foreign');
      }),
      { numRuns: 1_000 },
    );
  });

  it('never calls a prediction fresh if it is below the version, below the tombstone, or not assigned', () => {
    const small = fc.nat({ max: 4 });
    fc.assert(
      fc.property(
        fc.record({ label: small, touched: small, beyond: small, deleted: small, floor: small, atFloor: small }),
        fc.constantFrom('g6', 'g7'),
        fc.constantFrom('h1', 'h2'),
        fc.boolean(),
        fc.nat({ max: 4 * hour }),
        (n, generationId, history, overlay, age) => {
          const candidate: StoredPrediction = overlay
            ? { ...fromOverlay, contextVersion: n.label, history, overlayFloor: n.floor, computedAt: now - age }
            : { ...fromGeneration, contextVersion: n.label, generationId, computedAt: now - age };
          const someone = { version: n.touched + n.beyond, touched: n.touched, deletedVersion: n.deleted };
          const place = { ...assignment, overlayFloor: n.atFloor };
          if (!isFresh(judge(candidate, someone, place, certificate, policy))) return;
          expect(n.label).toBeGreaterThanOrEqual(n.touched);
          if (n.deleted > 0) expect(n.label).toBeGreaterThan(n.deleted);
          expect(age).toBeLessThanOrEqual(2 * hour);
          expect(fits(candidate, place, 'h1')).toBe(true);
          expect(overlay ? history === 'h1' && n.floor === n.atFloor : generationId === 'g7').toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
