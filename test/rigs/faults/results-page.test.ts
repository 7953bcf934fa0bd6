import { expect, it } from 'vitest';
import type { ControlRun, FaultRun } from './kept-results.ts';
import { pageOf } from './results-page.ts';

const head = { at: '2026-01-02T03:04:05', commit: 'abc', machine: 'a machine', loadAverage: 1, seed: 7, seconds: 60 };
const run: FaultRun = {
  ...head,
  how: '--only cache',
  ...{ answers: 9_000, fresh: 8_000, freshReads: 600, freshOfChanged: 500, acknowledged: 40, duplicates: 4, runs: 2 },
  work: { 'runs within a share': 3 },
  slowest: { read: 300 },
  violations: {},
  examples: [],
  failed: [],
  faults: [
    { name: 'cache-flushed', what: 'FLUSHALL', outcome: 'done', backAfterMs: [500, 2_500, null], violations: 0 },
    { name: 'cache-flushed', what: 'FLUSHALL', outcome: 'not met', why: 'no', backAfterMs: [], violations: 0 },
  ],
};
const control: ControlRun = {
  ...head,
  control: {
    name: 'N1',
    what: 'stamped late',
    caughtBy: null,
    answers: 77,
    fresh: 70,
    seconds: 120,
    holds: false,
    sound: { violations: 0, answers: 5 },
  },
};

it('explains the meaning of no violation by the number of reads, and how each fault ended', () => {
  const page = pageOf({ faultRuns: [run], controls: [] });
  expect(page).toContain('**Stale answers called fresh: 0.**');
  expect(page).toContain('The meaning of zero');
  expect(page).toContain('3/600 = 5.0e-3');
  expect(page).toContain('No violation, and every fault');
  expect(page.replaceAll(/ +/g, ' ')).toContain(
    '| cache-flushed | FLUSHALL | 2 | 2.5 | 2.5 | 1 | done 1, not met 1 | 0 |',
  );
});

it('reports the work of the deployment in a run, if that was counted', () => {
  const { work, ...older } = run;
  const page = pageOf({ faultRuns: [run, older], controls: [] }).replaceAll(/ +/g, ' ');
  expect(page).toContain('Counted in 1 of these runs: runs within a share 3.');
  expect(page).toContain('| 40 | 2 | runs within a share 3 | read 300 |');
  expect(page).toContain('| 40 | 2 | | read 300 |');
});

it('hides no failure', () => {
  const stale = {
    ...run,
    violations: { 'stale called fresh': 2 },
    examples: [{ rule: 'stale called fresh', why: 'label 1, score 1' }] as const,
    failed: ['queue-away: workers were started again'],
  };
  const page = pageOf({ faultRuns: [run, stale], controls: [control] });
  expect(page).toContain('**Stale answers called fresh: 2.**');
  expect(page).not.toContain('The meaning of zero');
  expect(page).toContain('seed 7, 2026-01-02T03:04:05: stale called fresh (2): label 1, score 1');
  expect(page).toContain('not as expected: queue-away: workers were started again');
  expect(page).toContain('**not caught** in 77');
});
