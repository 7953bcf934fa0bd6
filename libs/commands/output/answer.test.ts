import type { Prediction } from '@tandem/transport/wire-types';
import { PREDICTION_EXAMPLE } from '@tandem/wire/predictions';
import { expect, test } from 'vitest';
import { plain } from '../command.ts';
import { renderAnswer, renderManyAnswers } from './answer.ts';

const answer: Prediction = { ...PREDICTION_EXAMPLE, prediction: { score: 0.831, segment: ['a', 'b'] } };
const answered = { answer, etag: 'W/"abc"', cacheStatus: 'tandem; hit' };

test('an answer shows the prediction first, then its source', () => {
  expect(renderAnswer(answered, plain)).toEqual([
    'score     0.831',
    'segment   [a, b]',
    'source    batch, fresh: stored, and no later event concerns this predictor',
    'model     version 2 (stable), generation 17',
    'computed  2026-11-24 02:00:11 UTC, 8 h 50 min ago',
    'context   version 5, predicted from 5',
    'cache     tandem; hit',
    'etag      W/"abc"',
  ]);
});

test('a default answer was never computed, and its context may be unknown', () => {
  const unknown = { contextVersion: null, lastConcerningVersion: null, predictedFromContextVersion: null };
  const nothing = { computedAt: null, ageSeconds: null, ...unknown };
  const lines = renderAnswer(
    { ...answered, answer: { ...answer, ...nothing, source: 'default', reason: 'unverified' } },
    plain,
  );
  expect(lines).toContain('computed  never, since it is the declared default');
  expect(lines).toContain('context   version unknown, predicted from none');
});

test('a missing stored prediction and a missing row have different texts', () => {
  const sourceOf = (source: 'live' | 'stale') =>
    renderAnswer({ ...answered, answer: { ...answer, source, reason: 'missing' } }, plain)[2];
  expect(sourceOf('live')).toBe('source    live, missing: no prediction was stored for this user');
  expect(sourceOf('stale')).toBe('source    stale, missing: the feature query has no row for this user any more');
});

test('an answer that is still fresh after an event shows the last version that concerns its predictor', () => {
  const later = { ...answer, contextVersion: 6 };
  expect(renderAnswer({ ...answered, answer: later }, plain)).toContain(
    'context   version 6, predicted from 5; the last version that concerns this predictor is 5',
  );
});

test('in a read of many users, each has a line in order, and errors do not change the columns', () => {
  const problem = {
    type: 'urn:tandem:problem:unknown_user',
    status: 404,
    title: 'Unknown user',
    detail: 'No such user.',
  };
  const lines = renderManyAnswers(
    [
      { userId: '42', answer, problem: null },
      { userId: '99999', answer: null, problem },
      { userId: '7', answer: { ...answer, userId: '7', ageSeconds: 0 }, problem: null },
    ],
    plain,
  );
  expect(lines).toEqual([
    'user   score  segment  source  reason  model                              age',
    '42     0.831   [a, b]  batch   fresh   version 2 (stable), generation 17  8 h 50 min',
    '99999  No such user.',
    '7      0.831   [a, b]  batch   fresh   version 2 (stable), generation 17  under 1 s',
  ]);
});
