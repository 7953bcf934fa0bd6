import type { ServedRollout } from '@tandem/freshness/certificate';
import type { AnalysisPlan, Rollout } from '@tandem/freshness/rollout';
import { expect, test } from 'vitest';
import { createServedCounter, type ServedCounter, type ServedRead } from './arm-counts.ts';
import type { ServedSource } from './exposures.ts';
import { reportOf } from './rollout-figures.ts';

const ANALYSIS: AnalysisPlan = {
  automatic: true,
  dryRun: false,
  intervalMs: 1,
  minStepMs: 0,
  minUsers: 50,
  alpha: 0.05,
  guardrails: { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: 0.25 },
  outcomes: [],
};
const SERVED: ServedRollout = { id: 'r', kind: 'canary', step: 0, overridden: false, slowMs: 100 };
const ROLLOUT: Rollout = {
  id: 'r',
  predictor: 'p',
  number: 1,
  kind: 'canary',
  state: 'running',
  salt: 's',
  step: 0,
  reason: '',
  plan: { kind: 'canary', version: 2, steps: [50, 100], coverage: 'live', analysis: ANALYSIS },
  arms: [
    {
      name: 'candidate',
      modelVersionId: 'm',
      modelNumber: 2,
      generationId: null,
      generationNumber: null,
      firstBucket: 0,
      endBucket: 5_000,
    },
  ],
  createdBy: 'test',
  createdAt: new Date(0),
  stepStartedAt: new Date(0),
  endedAt: null,
};

const USERS = 200;
const good = (arm: string, userId: string): ServedRead => ({ arm, userId, source: 'batch', ms: 2, score: 0.5 });
const read = (counter: ServedCounter, one: ServedRead) => counter.count(SERVED, one);

/** Returns the counts of one process in which each user of both arms has one good read. */
function servedWell(): ServedCounter {
  const counter = createServedCounter(() => crypto.randomUUID());
  for (const arm of ['stable', 'candidate']) {
    for (let i = 0; i < USERS; i++) read(counter, good(arm, `${arm}-${i}`));
  }
  return counter;
}

function judged(...counters: readonly ServedCounter[]) {
  const counts = counters.flatMap((counter) => counter.changed());
  const exposed = ['stable', 'candidate'].map((arm) => ({ arm, source: 'batch' as ServedSource, users: USERS }));
  const record = {
    elapsedMs: 1,
    served: { counts, exposed, multipleExposures: 0, newUsers: [] },
    outcomes: { arms: [], asOf: null },
  };
  const { judgement, figures } = reportOf(ROLLOUT, ANALYSIS, record);
  return { verdict: judgement.verdict, reads: figures.arms[0]?.reads, why: judgement.why };
}

test.each<[string, Partial<ServedRead>]>([
  ['that failed', { source: 'error', score: undefined }],
  ['that were slow', { ms: 3_000 }],
  ['with a different score', { score: 0.01 }],
])('700 reads of one user %s do not roll back a canary', (_, bad) => {
  const counter = servedWell();
  for (let i = 0; i < 700; i++) read(counter, { ...good('candidate', 'candidate-7'), ...bad });
  expect(judged(counter)).toMatchObject({ verdict: 'hold', reads: USERS + 700 });
});

test('700 failed reads of one user in eight processes do not roll back a canary', () => {
  const counters = Array.from({ length: 8 }, servedWell);
  for (let i = 0; i < 700; i++) {
    const counter = counters[i % 8];
    if (counter) read(counter, { ...good('candidate', 'candidate-7'), source: 'error', score: undefined });
  }
  expect(judged(...counters).verdict).not.toBe('roll_back');
});

test('failed reads of a fifth of the users roll back a canary, and so do reads of all users that begin to fail late', () => {
  const some = servedWell();
  for (let i = 0; i < USERS / 5; i++) {
    for (let n = 0; n < 3; n++)
      read(some, { ...good('candidate', `candidate-${i}`), source: 'error', score: undefined });
  }
  expect(judged(some).verdict).toBe('roll_back');
  const late = servedWell();
  for (let n = 0; n < 100; n++) for (let i = 0; i < USERS; i++) read(late, good('candidate', `candidate-${i}`));
  for (let n = 0; n < 10; n++) {
    for (let i = 0; i < USERS; i++) {
      read(late, { ...good('candidate', `candidate-${i}`), source: 'error', score: undefined });
    }
  }
  expect(judged(late).verdict).toBe('roll_back');
});
