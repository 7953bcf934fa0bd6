import { describe, expect, it } from 'vitest';
import { storedAnswer } from './answer.ts';
import { HISTORY, inGeneration, inOverlay, MAX_AGE_MS, NOW, readOf, standingOf } from './certified-read.fixture.ts';
import { unreachableContext } from './errors.ts';
import { type CandidateState, judge, serviceOf } from './judge.ts';
import type { ReadOptions } from './read-options.ts';
import type { CertifiedRead, Standing } from './settle.ts';
import type { StoredPrediction } from './stored-prediction.ts';

function answerOf(read: CertifiedRead, standing: Standing, candidate: StoredPrediction, state: CandidateState) {
  const service = serviceOf(candidate, state, read.certificate, read.predictor.policy.freshness, read.options);
  return service && storedAnswer(read, standing, candidate, service.source, service.reason);
}

/** Returns the source and reason of the answer that a candidate gives, or undefined if it gives none. */
function accept(candidate: StoredPrediction, options: Partial<ReadOptions> = {}, expiresFrom: number | null = null) {
  const read = readOf({}, options, { expiresFrom });
  const standing = standingOf([candidate]);
  const state = judge(candidate, standing.user, read.assignment, read.certificate, read.predictor.policy.freshness);
  const answer = answerOf(read, standing, candidate, state);
  return answer && `${answer.source} ${answer.reason}`;
}

const aged = (seconds: number) => ({ computedAt: NOW - seconds * 1_000 });

describe('a stored candidate', () => {
  it('answers while it is fresh, and names the source that computed it', () => {
    expect(accept(inGeneration(5))).toBe('batch fresh');
    expect(accept(inOverlay(5))).toBe('live fresh');
    expect(accept(inOverlay(5, { source: 'batch' }))).toBe('batch fresh');
  });

  it('answers with the reason rolled_back if a rollback restarted its age', () => {
    expect(accept(inGeneration(5, aged(101)))).toBeUndefined();
    expect(accept(inGeneration(5, aged(101)), {}, NOW - 1_000)).toBe('batch rolled_back');
  });

  it('answers only a caller that accepts staleness, once it is stale or expired', () => {
    expect(accept(inGeneration(4))).toBeUndefined();
    expect(accept(inGeneration(4), { maxStale: 60 })).toBe('stale context_newer');
    expect(accept(inGeneration(5, aged(101)), { maxStale: 60 })).toBe('stale expired');
  });

  it('counts its staleness from its expiry, or from its computation if its context is older', () => {
    const expired = inGeneration(5, aged(MAX_AGE_MS / 1_000 + 30));
    expect(accept(expired, { maxStale: 30 })).toBe('stale expired');
    expect(accept(expired, { maxStale: 29 })).toBeUndefined();
    expect(accept(inGeneration(4, aged(30)), { maxStale: 30 })).toBe('stale context_newer');
    expect(accept(inGeneration(4, aged(30)), { maxStale: 29 })).toBeUndefined();
  });

  it('does not answer if it is older than the caller’s max-age, fresh or not', () => {
    expect(accept(inGeneration(5, aged(10)), { maxAge: 10 })).toBe('batch fresh');
    expect(accept(inGeneration(5, aged(10.5)), { maxAge: 10 })).toBeUndefined();
    expect(accept(inGeneration(4, aged(11)), { maxAge: 10, maxStale: Number.POSITIVE_INFINITY })).toBeUndefined();
  });

  it('does not answer below the demanded context, even if no later event concerns the predictor', () => {
    const minContext = { history: HISTORY, version: 7 };
    expect(accept(inGeneration(6), { minContext })).toBeUndefined();
    expect(accept(inGeneration(7), { minContext })).toBe('batch fresh');
    expect(accept(inGeneration(6), { minContext, maxStale: Number.POSITIVE_INFINITY })).toBeUndefined();
  });

  it('never answers if it is foreign or from before an erasure, whatever staleness the caller accepts', () => {
    const anything = { maxStale: Number.POSITIVE_INFINITY };
    expect(accept(inGeneration(9, { generationId: 'g6' }), anything)).toBeUndefined();
    expect(accept(inOverlay(9, { history: 'b'.repeat(16) }), anything)).toBeUndefined();
    const read = readOf({}, anything);
    const standing = standingOf([inGeneration(6)], { version: 7, deletedVersion: 6 });
    expect(answerOf(read, standing, inGeneration(6), 'blocked')).toBeUndefined();
  });

  it('is ignored if its bytes do not match the layout', () => {
    expect(accept(inGeneration(5, { outputs: Buffer.alloc(7) }))).toBeUndefined();
    expect(accept(inGeneration(5, { outputs: Buffer.alloc(9) }))).toBeUndefined();
  });

  it('answers with its age in whole seconds, never below zero, and with the context versions', () => {
    const read = readOf();
    const ahead = inGeneration(5, { computedAt: NOW + 3_000 });
    expect(answerOf(read, standingOf([ahead]), ahead, 'fresh')).toMatchObject({ ageSeconds: 0 });
    const candidate = inGeneration(5, aged(1.9));
    expect(answerOf(read, standingOf([candidate], { version: 8 }), candidate, 'fresh')).toMatchObject({
      ageSeconds: 1,
      contextVersion: 8,
      lastConcerningVersion: 5,
      predictedFromContextVersion: 5,
      generationNumber: 7,
      modelNumber: 2,
      variant: 'stable',
      history: HISTORY,
    });
  });
});

describe('a context token', () => {
  const user = { version: 5, touched: 3, deletedVersion: 0 };

  it('is accepted up to the user’s own version', () => {
    expect(unreachableContext(null, HISTORY, user)).toBeUndefined();
    expect(unreachableContext({ history: HISTORY, version: 5 }, HISTORY, user)).toBeUndefined();
  });

  it('is rejected above that version or from another history, each with a separate error code', () => {
    expect(unreachableContext({ history: HISTORY, version: 6 }, HISTORY, user)).toMatchObject({
      code: 'context_not_reached',
    });
    expect(unreachableContext({ history: 'b'.repeat(16), version: 1 }, HISTORY, user)).toMatchObject({
      code: 'history_changed',
    });
  });
});
