import type { RequestColumn } from '@tandem/freshness/predictor';
import { expect, test } from 'vitest';
import { judgeReadTime, noUserInTime, tooSlowForReads } from './predict-sample.ts';

const reader = (live: boolean, definition: { readonly request?: readonly RequestColumn[] } = {}) => ({
  definition,
  policy: { freshness: { live, liveTimeoutMs: 50 } },
});

test('a live read above liveTimeout is a warning with both times, and a read within it is no finding', () => {
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 40, inferenceMs: 10 })).toEqual([]);
  expect(judgeReadTime(reader(false), { userId: '7', featuresMs: 6_000, inferenceMs: 1 })).toEqual([]);
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 6_000, inferenceMs: 1 })).toMatchObject([
    { level: 'warning', text: expect.stringMatching(/user 7 took 6.0 s, and freshness.liveTimeout is 50 ms/) },
  ]);
});

test('a model that leaves too little of liveTimeout is a separate warning', () => {
  expect(judgeReadTime(reader(false), { userId: '7', featuresMs: 20, inferenceMs: 40 })).toEqual([]);
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 20, inferenceMs: 40 })).toEqual([
    {
      ...{ subject: 'model', level: 'warning', remedy: expect.stringMatching(/^raise freshness.liveTimeout/) },
      text: expect.stringMatching(/user 7 took 60 ms \(20 ms .*, 40 ms .*\), and freshness.liveTimeout is 50 ms/),
    },
  ]);
});

test('a user that cannot be read is an error, unless no read is live', () => {
  const text = expect.stringContaining('the features of user 7 were not read within 10 s');
  expect(tooSlowForReads(reader(true), '7', 10_000)).toMatchObject({ level: 'error', text });
  expect(tooSlowForReads(reader(false), '7', 10_000)).toMatchObject({ level: 'warning', text });
});

test('reports only measured times of a query that is slow for all users', () => {
  const finding = noUserInTime(reader(true), { what: 'user ids', ms: 5_000, userId: null });
  expect(finding).toMatchObject({
    level: 'warning',
    text: expect.stringMatching(/^user ids were not read within 5.0 s/),
  });
  expect(finding.text).toContain('of one user (50 ms, freshness.liveTimeout) was not measured');
  expect(finding.remedy).toContain('create the index');
});

test('a predictor with request features gets no advice to turn off live inference, which they need', () => {
  const times = (featuresMs: number) => ({ userId: '7', featuresMs, inferenceMs: 40 });
  const findings = (judged: ReturnType<typeof reader>) => [
    ...[...judgeReadTime(judged, times(20)), ...judgeReadTime(judged, times(60))],
    tooSlowForReads(judged, '7', 10_000),
    noUserInTime(judged, { what: 'user ids', ms: 5_000, userId: null }),
  ];
  const remedies = findings(reader(true, { request: [{ name: 'amount', kind: 'number' }] })).map(
    ({ remedy }) => remedy,
  );
  expect(remedies).toHaveLength(4);
  for (const remedy of remedies) expect(remedy).toContain('raise freshness.liveTimeout');
  expect(remedies.join()).not.toContain('live: false');
  for (const { remedy } of findings(reader(true))) expect(remedy).toContain('set freshness.live: false');
});
