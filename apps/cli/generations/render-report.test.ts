import { plain } from '@tandem/commands/command';
import { GENERATION_REPORT_EXAMPLE } from '@tandem/wire/generation-report';
import { expect, it } from 'vitest';
import { renderReport } from './render-report.ts';

it('the report of a held-back generation shows the reason, figures, largest changes, segments, and the next command', () => {
  expect(renderReport(GENERATION_REPORT_EXAMPLE, plain)).toEqual([
    'repurchase: generation 18, compared with generation 17 in 41 ms: held back',
    '  PSI of score against the previous generation is 0.41, above maxPsi 0.25',
    '  PSI of score against the first generation is 0.47, above maxPsi 0.25',
    '',
    '  users     2,357 before, 2,360 now; 2,351 in both, 9 new, 6 removed',
    '  decision  score ≥ 0.7: 212 up, 9 down (9.4 %)',
    '  first     PSI against generation 3: 0.47 of score',
    '',
    'output   PSI  mean before  mean now  mean |Δ|  p99 |Δ|  changed',
    'score   0.41        0.312     0.395     0.097     0.44     97 %',
    '',
    'moved furthest  before    now      Δ',
    '42               0.219  0.831  0.612',
    '',
    'country  users   PSI  mean before  mean now  mean |Δ|  p99 |Δ|  changed  flips',
    'de       2,360  0.41        0.312     0.395     0.097     0.44     97 %  9.4 %',
  ]);
});

it('a generation that was not compared shows the reason', () => {
  const none = { figures: null, crossings: [], movers: [], against: null, tookMs: 0 };
  const report = {
    ...GENERATION_REPORT_EXAMPLE,
    ...none,
    verdict: 'not_compared',
    notes: ['no generation is current'],
  } as const;
  expect(renderReport(report, plain)).toEqual([
    'repurchase: generation 18: not compared',
    '  no generation is current',
  ]);
});

it('a report of a sample shows the size of the sample', () => {
  const notes = ['only one in 120 users was compared instead of all users'];
  const sample = { oneIn: 120, users: 100_214 };
  const lines = renderReport({ ...GENERATION_REPORT_EXAMPLE, notes, sample, outOfTime: 'sampled' }, plain);
  expect(lines.slice(3, 6)).toEqual([
    '  only one in 120 users was compared instead of all users',
    '',
    '  a sample: one of 120 users, 100,214 in all',
  ]);
});

it('names of users and models cannot move the cursor', () => {
  const movers = [{ userId: '\u001b[2J', before: 0, now: 1, delta: 1 }];
  expect(renderReport({ ...GENERATION_REPORT_EXAMPLE, movers }, plain).join('\n')).not.toContain('\u001b');
});
