import type { Explanation } from '@tandem/client/wire';
import { plain } from '@tandem/commands/command';
import { EXPLANATION_EXAMPLE } from '@tandem/wire/explanations';
import { expect, test } from 'vitest';
import { renderExplanation } from './render-explanation.ts';

const features: Explanation['features'] = EXPLANATION_EXAMPLE.features;
const explanation: Explanation = {
  ...EXPLANATION_EXAMPLE,
  stores: { redis: 'ok', postgres: 'failed' },
  features: features.map((one) => (one.event ? { ...one, event: { ...one.event, id: 'order\u001b[2J-1009' } } : one)),
};

test('an explanation shows the answer, the certificate, the stored predictions and the features', () => {
  expect(renderExplanation(explanation, plain)).toEqual([
    'repurchase for user 42, as Postgres sees it at 2026-11-24 10:50:53 UTC',
    '',
    'A read answers score 0.831: live, because context_newer (the context is newer than the stored prediction).',
    'Cache-Status: tandem; fwd=stale; stored; detail=context_newer',
    '',
    'context   version 6; the last version that concerns this predictor is 6',
    'assigned  model version 2 (stable), generation 17',
    'history   9f2c4a1be07d3358, overlay floor 0',
    '',
    'Stored',
    '  postgres did not answer and may have more',
    '  store  layer       prediction  by   model  generation  context  age         state',
    '  redis  generation  0.412       run  2      17          5        8 h 50 min  stale: from an older context',
    '',
    'Features',
    '  name     value  from',
    '  recency     12  row',
    '  orders       4  event order?[2J-1009 of /shop/orders, accepted 2026-11-24 10:12:00 UTC (the row says 3)',
  ]);
});

test('an answer from re-scoring says so', () => {
  const { answer, candidates } = explanation;
  const [candidate] = candidates;
  if (!answer || !candidate) throw new Error('the example has no answer');
  const refreshed = { ...candidate, madeBy: 'refresh' as const, computedAt: answer.computedAt ?? '' };
  const lines = renderExplanation({ ...explanation, candidates: [refreshed] }, plain);
  expect(lines[3]).toMatch(/^Re-scored at 2026-11-24 \d\d:\d\d:\d\d UTC, after an event and before this read\.$/);
  expect(lines.join('\n')).toContain('refresh');
});

test('an error of the read, and of the features, is shown in their place', () => {
  const problem = { type: 'urn:tandem:problem:unavailable', status: 503, title: 'Unavailable', detail: 'no luck' };
  const lines = renderExplanation(
    { ...explanation, answer: null, answerProblem: problem, features: [], featureProblem: problem, candidates: [] },
    plain,
  );
  expect(lines).toContain('A read answers with an error: no luck');
  expect(lines.at(-1)).toBe('  no luck');
  expect(lines).toContain('  nothing');
});
