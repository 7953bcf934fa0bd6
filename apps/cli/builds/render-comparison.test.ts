import type { BuildComparison } from '@tandem/client/builds';
import { BUILD_COMPARISON_EXAMPLE } from '@tandem/wire/builds';
import { expect, it } from 'vitest';
import { renderComparison } from './render-comparison.ts';

it('shows both versions side by side, then the differences of their answers', () => {
  expect(renderComparison(BUILD_COMPARISON_EXAMPLE).join('\n')).toBe(
    `repurchase: int8 build 3 compared with model version 2, on 1,994 of 2,000 real users
                          version 2     build 3
bytes                     1,830,412     471,208  0.26 of its parent
time a user, alone          61.2 µs     44.9 µs  1.36× as fast (1.29 to 1.44)
time a user, among 256       9.8 µs      4.1 µs  2.39× as fast (2.31 to 2.46)
inferred                 in batches  in batches
same alone and together         yes         yes
AUC                          0.8204      0.8201  -0.0003
log-loss                     0.4312      0.4318  +0.0006

score      changed for 100 % of users; mean difference 0.0021; largest 0.0184; rank correlation 0.9996
decisions  8 changed (0.4 %, at 95 % 0.2 % to 0.79 %) at score ≥ 0.5: 3 up, 5 down`,
  );
});

const changed = (build: Partial<BuildComparison['build']>, more: Partial<BuildComparison> = {}) =>
  renderComparison({
    ...BUILD_COMPARISON_EXAMPLE,
    labels: null,
    decision: null,
    ...more,
    build: { ...BUILD_COMPARISON_EXAMPLE.build, ...build },
  }).join('\n');

it('says if a build must be pinned, or if a pinned build need not be', () => {
  const apart = changed({ rowsAgree: false, largestRowDifference: 0.00312, rowByRow: true });
  expect(apart).toMatch(/inferred +in batches +row by row\n/);
  expect(apart).toMatch(
    /same alone and together +yes +0\.0031 apart +push it with --row-by-row, since its answers depend on the batch/,
  );
  expect(changed({ rowsAgree: true, rowByRow: true })).toContain(
    'push it without --row-by-row, which it does not need',
  );
  expect(changed({ rowsAgree: null })).toMatch(/same alone and together +yes +not known\n/);
});

it('shows enough digits for a build that is far slower', () => {
  const { pace } = BUILD_COMPARISON_EXAMPLE;
  const slow = { parentUs: 0.9031, buildUs: 344.61, speedup: { median: 0.002617, low: 0.0021, high: 0.00299 } };
  const text = changed({}, { pace: { ...pace, together: { users: 256, ...slow } } });
  expect(text).toMatch(/0\.903 µs +345 µs +0\.00262× as fast \(0\.0021 to 0\.00299\)/);
});

it('shows errors for labels that are not classes, users without an answer, and only the changed share of strings', () => {
  const errors = { meanAbsoluteError: 2, rootMeanSquaredError: 3 };
  const text = changed(
    { refused: 4 },
    {
      labels: { output: 'amount', users: 10, figures: { kind: 'errors', parent: errors, build: errors } },
      outputs: [
        { name: 'label\u001b', changed: 0.125, meanDifference: null, largestDifference: null, rankCorrelation: null },
      ],
    },
  );
  expect(text).toMatch(/mean absolute error +2 +2 +0\nroot mean squared error +3 +3 +0\nusers without an answer +0 +4/);
  expect(text).toContain('label?  changed for 13 % of users');
  expect(text).not.toContain('decisions');
});
