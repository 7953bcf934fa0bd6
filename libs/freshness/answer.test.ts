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

/** The source and reason that a candidate is answered with, or undefined. */
function accept(candidate: StoredPrediction, options: Partial<ReadOptions> = {}, expiresFrom: number | null = null) {
  const read = readOf({}, options, { expiresFrom });
  const standing = standingOf([candidate]);
  const state = judge(candidate, standing.user, read.assignment, read.certificate, read.predictor.policy.freshness);
  const answer = answerOf(read, standing, candidate, state);
  return answer && `${answer.source} ${answer.reason}`;
}

const aged = (seconds: number) => ({ computedAt: NOW - seconds * 1_000 });

describe('a stored candidate', () => {
  it('answers with where it was computed while it is fresh', () => {
    expect(accept(inGeneration(5))).toBe('batch fresh');
    expect(accept(inOverlay(5))).toBe('live fresh');
    expect(accept(inOverlay(5, { source: 'batch' }))).toBe('batch fresh');
  });

  it('says that a rollback restarts its age', () => {
    expect(accept(inGeneration(5, aged(101)))).toBeUndefined();
    expect(accept(inGeneration(5, aged(101)), {}, NOW - 1_000)).toBe('batch rolled_back');
  });

  it('that is stale or expired answers only a caller who said so', () => {
    expect(accept(inGeneration(4))).toBeUndefined();
    expect(accept(inGeneration(4), { maxStale: 60 })).toBe('stale context_newer');
    expect(accept(inGeneration(5, aged(101)), { maxStale: 60 })).toBe('stale expired');
  });

  it('is as stale as it is past its time; of an older context, at most as stale as it is old', () => {
    const expired = inGeneration(5, aged(MAX_AGE_MS / 1_000 + 30));
    expect(accept(expired, { maxStale: 30 })).toBe('stale expired');
    expect(accept(expired, { maxStale: 29 })).toBeUndefined();
    expect(accept(inGeneration(4, aged(30)), { maxStale: 30 })).toBe('stale context_newer');
    expect(accept(inGeneration(4, aged(30)), { maxStale: 29 })).toBeUndefined();
  });

  it('older than the caller’s max-age does not do, fresh or not', () => {
    expect(accept(inGeneration(5, aged(10)), { maxAge: 10 })).toBe('batch fresh');
    expect(accept(inGeneration(5, aged(10.5)), { maxAge: 10 })).toBeUndefined();
    expect(accept(inGeneration(4, aged(11)), { maxAge: 10, maxStale: Number.POSITIVE_INFINITY })).toBeUndefined();
  });

  it('below the demanded context does not do, though no later event concerns the predictor', () => {
    const minContext = { history: HISTORY, version: 7 };
    expect(accept(inGeneration(6), { minContext })).toBeUndefined();
    expect(accept(inGeneration(7), { minContext })).toBe('batch fresh');
    expect(accept(inGeneration(6), { minContext, maxStale: Number.POSITIVE_INFINITY })).toBeUndefined();
  });

  it('that is foreign or from before an erasure never does, whatever staleness the caller takes', () => {
    const anything = { maxStale: Number.POSITIVE_INFINITY };
    expect(accept(inGeneration(9, { generationId: 'g6' }), anything)).toBeUndefined();
    expect(accept(inOverlay(9, { history: 'b'.repeat(16) }), anything)).toBeUndefined();
    const read = readOf({}, anything);
    const standing = standingOf([inGeneration(6)], { version: 7, deletedVersion: 6 });
    expect(answerOf(read, standing, inGeneration(6), 'blocked')).toBeUndefined();
  });

  it('whose bytes are not of the layout is no candidate', () => {
    expect(accept(inGeneration(5, { outputs: Buffer.alloc(7) }))).toBeUndefined();
    expect(accept(inGeneration(5, { outputs: Buffer.alloc(9) }))).toBeUndefined();
  });

  it('gives its age in whole seconds, never below zero, and the context versions', () => {
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

  it('up to the user’s own version can be had', () => {
    expect(unreachableContext(null, HISTORY, user)).toBeUndefined();
    expect(unreachableContext({ history: HISTORY, version: 5 }, HISTORY, user)).toBeUndefined();
  });

  it('above it, or of another history, cannot: each has an error of its own', () => {
    expect(unreachableContext({ history: HISTORY, version: 6 }, HISTORY, user)).toMatchObject({
      code: 'context_not_reached',
    });
    expect(unreachableContext({ history: 'b'.repeat(16), version: 1 }, HISTORY, user)).toMatchObject({
      code: 'history_changed',
    });
  });
});
