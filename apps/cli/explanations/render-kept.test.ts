import type { KeptExplanation } from '@tandem/client/explanations';
import { KEPT_EXPLANATION_EXAMPLE, REPLAY_EXAMPLE } from '@tandem/wire/kept-explanations';
import { expect, test } from 'vitest';
import { renderKept, renderKeptList, renderReplay } from './render-kept.ts';

const plain = (_tone: unknown, text: string) => text;

/** An explanation of a stored answer whose user has changed since. Its names would clear the screen. */
const STORED: KeptExplanation = {
  ...KEPT_EXPLANATION_EXAMPLE,
  answer: { ...KEPT_EXPLANATION_EXAMPLE.answer, source: 'batch', reason: 'fresh', userId: '4\u001b[2J2' },
  inputs: {
    ...KEPT_EXPLANATION_EXAMPLE.inputs,
    ...{ read: 'after_the_reply', contextVersion: 7, ofSameContext: false, fault: 'feature plan is\u0007 null' },
    features: [{ name: 'plan', value: null, from: 'row' }],
  },
};

test('an explanation shows the answer as it was served, with the inputs of its model', () => {
  expect(renderKept(KEPT_EXPLANATION_EXAMPLE, plain)).toEqual([
    'repurchase for user 42, answered at 2026-11-24 10:50:53 UTC',
    '',
    'score     0.831',
    'source    live, context_newer: the context is newer than the stored prediction',
    'model     version 2 (stable)',
    'computed  2026-11-24 10:50:53 UTC, under 1 s ago',
    'context   version 6, predicted from 6',
    'history   9f2c4a1be07d3358',
    'kept      until 2026-12-24 10:50:53 UTC, as 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
    '',
    'Inputs',
    '  those of the inference itself; context version 6',
    '  name     value  from',
    '  recency     12  row',
    '  orders       4  event order-1009 of /shop/orders, accepted 2026-11-24 10:12:00 UTC',
  ]);
});

test('inputs of another context than that of the answer are marked', () => {
  expect(renderKept(STORED, plain).slice(-4)).toEqual([
    '  read after the reply, at 2026-11-24 10:50:53 UTC, because the answer was stored; context version 7, but the answer was computed from another version',
    '  cannot be scored: feature plan is? null',
    '  name  value  from',
    '  plan   null  row',
  ]);
  const none = { ...STORED, inputs: null, noInputs: 'no_row' as const };
  expect(renderKept(none, plain).at(-1)).toBe('  none: the feature source had no row of the user');
});

test('inputs of a default answer are not compared with a version that the answer was computed from', () => {
  const reason = 'features_unusable' as const;
  const answer = { ...STORED.answer, source: 'default' as const, reason, computedAt: null, ageSeconds: null };
  const kept = { ...STORED, answer: { ...answer, predictedFromContextVersion: null } };
  expect(renderKept(kept, plain)).toContain(
    '  read after the reply, at 2026-11-24 10:50:53 UTC, because the answer is the declared default; context version 7',
  );
  expect(renderKeptList([kept])[1]).toMatch(/read after it$/);
});

test('a list says for each answer whether its inputs are those of the answer', () => {
  expect(renderKeptList([KEPT_EXPLANATION_EXAMPLE, STORED, { ...STORED, inputs: null, noInputs: 'not_read' }])).toEqual(
    [
      'id                                    answered             predictor   user    prediction  source  reason         model       inputs',
      '5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10  2026-11-24 10:50:53  repurchase  42      0.831       live    context_newer  2 (stable)  of the answer',
      '5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10  2026-11-24 10:50:53  repurchase  4?[2J2  0.831       batch   fresh          2 (stable)  of another context',
      '5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10  2026-11-24 10:50:53  repurchase  4?[2J2  0.831       batch   fresh          2 (stable)  none',
    ],
  );
  expect(renderKeptList([])).toEqual(['no answer is kept; the setting `explanations` of a predictor keeps them']);
});

test('a replay shows its verdict and the difference', () => {
  expect(renderReplay(REPLAY_EXAMPLE, plain)).toEqual([
    'verdict  agrees: equal to the last bit',
    'kept     score 0.831',
    'now      score 0.831',
  ]);
  const difference = { output: 'score', kept: 0.831, recomputed: 0.829, difference: 0.002, ofAllowed: 200 };
  const differs = {
    ...REPLAY_EXAMPLE,
    verdict: 'differs',
    reason: 'why',
    recomputed: { score: 0.829 },
    difference,
  } as const;
  expect(renderReplay(differs, plain)).toEqual([
    'verdict   differs: why',
    'kept      score 0.831',
    'now       score 0.829',
    'furthest  score 0.831 → 0.829, by 0.00200: 200 times the tolerance of 0.00001',
  ]);
  const refused = { ...REPLAY_EXAMPLE, verdict: 'refused', reason: 'no\u001b row', recomputed: null } as const;
  expect(renderReplay(refused, plain)).toEqual(['verdict  not computed: no? row', 'kept     score 0.831']);
});
