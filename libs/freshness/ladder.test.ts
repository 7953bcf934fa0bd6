import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everybodyIn } from './certificate.ts';
import {
  ASSIGNMENT,
  HISTORY,
  inGeneration,
  inOverlay,
  MAX_AGE_MS,
  NOW,
  readOf,
  scoreBytes,
  standingOf,
} from './certified-read.fixture.ts';
import { TandemError } from './errors.ts';
import type { FeatureBatch } from './features.ts';
import { fallBack } from './ladder.ts';
import { BEYOND_QUOTA, CALLER_GONE, type LiveFailureReason, type LiveOutcome, OVER_QUOTA } from './live-predictor.ts';
import type { FreshnessPolicy } from './predictor.ts';
import { unverifiedAnswer } from './unverified-read.ts';

const predicted: LiveOutcome = {
  kind: 'predicted',
  outputs: scoreBytes(0.9),
  contextVersion: 6,
  computedAt: NOW + 10,
  kept: true,
  certificate: { ...readOf().certificate, user: () => ({ version: 6, touched: 4, deletedVersion: 0 }) },
  inputs: { batch: {} as FeatureBatch, row: 0 },
};
const noFeatures: LiveOutcome = { kind: 'no_features' };
const failed = (reason: LiveFailureReason): LiveOutcome => ({
  kind: 'failed',
  reason,
  detail: 'why',
});

/** Returns the answer of a user with a stale and a foreign candidate, as a short text. */
function answerTo(outcome: LiveOutcome | undefined, policy: Partial<FreshnessPolicy> = {}, options = {}) {
  const standing = standingOf([inGeneration(3), inOverlay(9, { overlayFloor: 2 })]);
  const result = fallBack(readOf(policy, options), standing, 'context_newer', outcome);
  return result instanceof TandemError
    ? result.code
    : `${result.source} ${result.reason} ${result.prediction.score} of ${result.forwarded}`;
}

describe('the ladder', () => {
  it('answers live, with the reason why no stored prediction was usable', () => {
    expect(answerTo(predicted)).toBe('live context_newer 0.9 of context_newer');
    const result = fallBack(readOf(), standingOf([inGeneration(3)]), 'context_newer', predicted);
    expect(result).toMatchObject({ contextVersion: 6, predictedFromContextVersion: 6, hit: false, kept: true });
  });

  it('keeps the cause of a live failure for the log if a lower rung answers', () => {
    const standing = standingOf([inGeneration(3)]);
    const failure = failed('live_timeout');
    const fallen = (policy: Partial<FreshnessPolicy>) => fallBack(readOf(policy), standing, 'context_newer', failure);
    expect(fallen({})).toMatchObject({ source: 'stale', liveFailure: 'why' });
    expect(fallen({ onLiveFailure: 'default' })).toMatchObject({ source: 'default', liveFailure: 'why' });
    expect(fallBack(readOf(), standing, 'context_newer', noFeatures)).not.toHaveProperty('liveFailure');
  });

  it('distinguishes a failure or a missed deadline of the caller from an exceeded quota of the caller', () => {
    const standing = standingOf([inGeneration(3)]);
    const fallen = (outcome: LiveOutcome, policy: Partial<FreshnessPolicy> = {}) =>
      fallBack(readOf(policy), standing, 'context_newer', outcome);
    for (const outcome of [OVER_QUOTA, BEYOND_QUOTA]) {
      expect(fallen(outcome)).toMatchObject({ source: 'stale', reason: 'overloaded', isOverQuota: true });
      expect(fallen(outcome)).not.toHaveProperty('liveFailure');
    }
    for (const outcome of [CALLER_GONE, failed('live_timeout')]) {
      expect(fallen(outcome)).toMatchObject({
        source: 'stale',
        reason: 'live_timeout',
        liveFailure: expect.any(String),
      });
      expect(fallen(outcome)).not.toHaveProperty('isOverQuota');
    }
    expect(fallen(CALLER_GONE, { onLiveFailure: 'error' })).toMatchObject({ code: 'caller_gone' });
  });

  it('names on each rung the last version that concerns the predictor, from the newest known context', () => {
    const versionsOf = (outcome: LiveOutcome, version: number, policy: Partial<FreshnessPolicy> = {}) => {
      const result = fallBack(readOf(policy), standingOf([inGeneration(3)], { version }), 'context_newer', outcome);
      if (result instanceof TandemError) return result.code;
      return [result.source, result.contextVersion, result.lastConcerningVersion];
    };
    expect(versionsOf(predicted, 5)).toEqual(['live', 6, 4]);
    expect(versionsOf(predicted, 7)).toEqual(['live', 7, 5]);
    expect(versionsOf(failed('live_failed'), 7)).toEqual(['stale', 7, 5]);
    expect(versionsOf(failed('live_failed'), 7, { onLiveFailure: 'default' })).toEqual(['default', 7, 5]);
  });

  it('serves nothing older than the caller’s max-age, even if live inference fails', () => {
    expect(answerTo(failed('live_failed'), {}, { maxAge: 0 })).toBe('default live_failed 0.2 of context_newer');
    expect(answerTo(failed('live_failed'), { default: null }, { maxAge: 0 })).toBe('live_failed');
    expect(answerTo(failed('live_failed'), {}, { maxAge: 3_600 })).toBe('stale live_failed 3 of context_newer');
  });

  it('falls from live to stale to default to an error, and each rung says why live inference failed', () => {
    expect(answerTo(failed('live_timeout'))).toBe('stale live_timeout 3 of context_newer');
    expect(answerTo(failed('overloaded'), { onLiveFailure: 'default' })).toBe(
      'default overloaded 0.2 of context_newer',
    );
    expect(answerTo(failed('live_failed'), { onLiveFailure: 'default', default: null })).toBe('live_failed');
    expect(answerTo(failed('overloaded'), { onLiveFailure: 'error' })).toBe('overloaded');
  });

  it('falls back to the default if no stored prediction may be served', () => {
    const standing = standingOf([inOverlay(9, { overlayFloor: 2 })]);
    expect(fallBack(readOf(), standing, 'missing', failed('live_failed'))).toMatchObject({ source: 'default' });
  });

  it('serves the stored prediction as stale if live inference is switched off, with the reason why it is not fresh', () => {
    expect(answerTo(undefined)).toBe('stale context_newer 3 of context_newer');
    expect(answerTo(undefined, { onLiveFailure: 'error' })).toBe('no_prediction');
  });

  it('says that live inference is off if only an inference may answer', () => {
    const fallen = (policy: Partial<FreshnessPolicy>, options = {}) =>
      fallBack(readOf(policy, options), standingOf([]), 'requested', undefined);
    const never = { code: 'invalid_input', retryAfter: undefined };
    const ranking = { noCache: true, request: { rows: [], at: String, isLiveOnly: true } };
    expect(fallen({ live: false }, ranking)).toMatchObject({
      ...{ ...never, field: 'predictor', message: expect.stringContaining('freshness.live is false') },
    });
    expect(fallen({}, ranking)).toMatchObject({ ...never, field: 'live', message: expect.stringContaining('process') });
    const error = { live: false, onLiveFailure: 'error', default: null } as const;
    expect(fallen(error, { noCache: true })).toMatchObject({ ...never, field: 'predictor' });
    // The next run may store a prediction that answers these reads.
    const later = { code: 'no_prediction', retryAfter: 1 };
    expect(fallen(error)).toMatchObject(later);
    expect(fallen({ live: false, default: null }, { noCache: true })).toMatchObject(later);
  });

  it('answers unknown_user without a feature row, unless a stored prediction may be served as stale', () => {
    expect(answerTo(noFeatures)).toBe('stale missing 3 of context_newer');
    expect(answerTo(noFeatures, { onLiveFailure: 'default' })).toBe('unknown_user');
    expect(answerTo(noFeatures, { onLiveFailure: 'error' })).toBe('unknown_user');
    expect(fallBack(readOf(), standingOf([]), 'missing', noFeatures)).toMatchObject({ code: 'unknown_user' });
  });

  it('never answers for an erased user', () => {
    expect(answerTo({ kind: 'erased' })).toBe('unknown_user');
  });

  it('gives a caller that demands a context neither an older prediction nor the default', () => {
    const minContext = { history: HISTORY, version: 4 };
    expect(answerTo(failed('live_timeout'), {}, { minContext })).toBe('live_timeout');
    expect(answerTo(failed('live_timeout'), {}, { minContext: { ...minContext, version: 3 } })).toMatch(/^stale/);
  });

  it('serves the stored prediction with the newest context, and skips a damaged one', () => {
    const candidates = [inGeneration(2), inOverlay(4)];
    expect(fallBack(readOf(), standingOf(candidates), 'missing', failed('live_failed'))).toMatchObject({
      predictedFromContextVersion: 4,
    });
    const damaged = [inGeneration(2), inOverlay(4, { outputs: Buffer.alloc(3) })];
    expect(fallBack(readOf(), standingOf(damaged), 'missing', failed('live_failed'))).toMatchObject({
      source: 'stale',
      predictedFromContextVersion: 2,
    });
  });

  it('names a user’s unusable features, without a retry time', () => {
    const features = Array.from({ length: 12 }, (_, i) => `f${i}`);
    const outcome: LiveOutcome = { kind: 'failed', reason: 'features_unusable', detail: 'f0 is "secret"', features };
    const result = fallBack(readOf({ onLiveFailure: 'error' }), standingOf([]), 'missing', outcome) as TandemError;
    expect(result).toMatchObject({ code: 'features_unusable', retryAfter: undefined, detail: 'f0 is "secret"' });
    expect(result.message).toContain('User 42');
    expect(result.message).toContain('features f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more');
    expect(`${result.message}${result.remedy}`).not.toContain('secret');
    expect(answerTo(outcome)).toBe('stale features_unusable 3 of context_newer');
    expect(answerTo(outcome, { onLiveFailure: 'default' })).toBe('default features_unusable 0.2 of context_newer');
  });

  it('names the output that is not a number, without a retry time', () => {
    const outcome: LiveOutcome = { kind: 'failed', reason: 'output_unusable', detail: 'output score is NaN' };
    const result = fallBack(readOf({ onLiveFailure: 'error' }), standingOf([]), 'missing', outcome) as TandemError;
    expect(result).toMatchObject({ code: 'output_unusable', retryAfter: undefined });
    expect(result.message).toBe('User 42 cannot be predicted: output score is NaN.');
    expect(result.remedy).not.toContain('again');
    expect(answerTo(outcome)).toBe('stale output_unusable 3 of context_newer');
    expect(answerTo(outcome, { onLiveFailure: 'default' })).toBe('default output_unusable 0.2 of context_newer');
  });

  it('gives a retry time in every other error, and never reveals details that only the log may have', () => {
    const result = fallBack(readOf({ onLiveFailure: 'error' }), standingOf([]), 'missing', failed('live_failed'));
    expect(result).toMatchObject({ retryAfter: 1, detail: 'why' });
    expect((result as TandemError).message).not.toContain('why');
    expect((result as TandemError).remedy).toMatch(/^retry after .* log says why/);
  });

  it('never serves a rung that is switched off, a foreign prediction or an erased prediction, and never calls an answer fresh', () => {
    const small = fc.nat({ max: 6 });
    const candidate = fc
      .record({ label: small, overlay: fc.boolean(), fits: fc.boolean(), age: fc.nat({ max: 2 * MAX_AGE_MS }) })
      .map(({ label, overlay, fits, age }) => {
        const changes = { computedAt: NOW - age, ...(fits ? {} : { modelVersionId: 'm1' }) };
        return overlay ? inOverlay(label, changes) : inGeneration(label, changes);
      });
    const outcome = fc.constantFrom(undefined, noFeatures, failed('live_failed'), failed('live_timeout'));
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 3 }),
        fc.record({ touched: small, beyond: small, deletedVersion: small }),
        fc.constantFrom('stale', 'default', 'error'),
        fc.constantFrom(null, { score: 0.2 }),
        fc.constantFrom(null, { history: HISTORY, version: 3 }),
        outcome,
        (candidates, { touched, beyond, deletedVersion }, onLiveFailure, declared, minContext, live) => {
          const standing = standingOf(candidates, { touched, version: touched + beyond, deletedVersion });
          const read = readOf({ onLiveFailure, default: declared }, { minContext });
          const result = fallBack(read, standing, 'missing', live);
          if (result instanceof TandemError) return;
          expect(['stale', 'default']).toContain(result.source);
          if (result.source === 'default') {
            expect([onLiveFailure === 'error', minContext, live?.kind === 'no_features']).toEqual([false, null, false]);
            expect(result.prediction).toEqual(declared);
            return;
          }
          const label = result.predictedFromContextVersion ?? -1;
          expect(onLiveFailure).toBe('stale');
          if (deletedVersion > 0) expect(label).toBeGreaterThan(deletedVersion);
          expect(label).toBeGreaterThanOrEqual(minContext?.version ?? 0);
          expect(candidates.some((one) => one.contextVersion === label && one.modelVersionId === 'm2')).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('an unverified answer', () => {
  const known = { assignments: everybodyIn(ASSIGNMENT), history: HISTORY, withdrawals: 0 };
  const answer = (...candidates: Parameters<typeof unverifiedAnswer>[3]) =>
    unverifiedAnswer('42', readOf().version, known, candidates);

  it('is the fitting candidate with the newest context, stale and unverified, without an uncertified version', () => {
    expect(answer(inGeneration(2), inOverlay(4))).toMatchObject({
      source: 'stale',
      reason: 'unverified',
      prediction: { score: 4 },
      contextVersion: null,
      lastConcerningVersion: null,
      history: null,
      predictedFromContextVersion: 4,
    });
  });

  it('never has another generation, model version, history or floor than the last assignment', () => {
    expect(answer(inGeneration(9, { generationId: 'g6' }))).toBeUndefined();
    expect(answer(inGeneration(9, { modelVersionId: 'm1' }))).toBeUndefined();
    expect(answer(inOverlay(9, { history: 'b'.repeat(16) }))).toBeUndefined();
    expect(answer(inGeneration(2), inOverlay(9, { overlayFloor: 2 }))).toMatchObject({ prediction: { score: 2 } });
  });
});
