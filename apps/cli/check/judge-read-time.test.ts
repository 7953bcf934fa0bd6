import { expect, test } from 'vitest';
import { judgeReadTime, noUserInTime, tooSlowForReads } from './predict-sample.ts';

const reader = (live: boolean) => ({ name: 'churn', policy: { freshness: { live, liveTimeoutMs: 50 } } });

test('a read within liveTimeout is no finding, one beyond it is a warning with both times, where reads are live', () => {
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 40, inferenceMs: 10 })).toEqual([]);
  expect(judgeReadTime(reader(false), { userId: '7', featuresMs: 6_000, inferenceMs: 1 })).toEqual([]);
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 6_000, inferenceMs: 1 })).toMatchObject([
    { level: 'warning', text: expect.stringMatching(/user 7 took 6.0 s, and freshness.liveTimeout is 50 ms/) },
  ]);
});

test('a model that leaves too little of liveTimeout is a warning of its own', () => {
  expect(judgeReadTime(reader(false), { userId: '7', featuresMs: 20, inferenceMs: 40 })).toEqual([]);
  expect(judgeReadTime(reader(true), { userId: '7', featuresMs: 20, inferenceMs: 40 })).toEqual([
    {
      ...{ subject: 'churn model', level: 'warning', remedy: expect.stringMatching(/^raise freshness.liveTimeout/) },
      text: expect.stringMatching(/user 7 took 60 ms \(20 ms .*, 40 ms .*\), and freshness.liveTimeout is 50 ms/),
    },
  ]);
});

test('a user who is not read at all is an error, unless no read is live', () => {
  const text = expect.stringContaining('the features of user 7 were not read within 10 s');
  expect(tooSlowForReads(reader(true), 'sample', '7', 10_000)).toMatchObject({ level: 'error', text });
  expect(tooSlowForReads(reader(false), 'sample', '7', 10_000)).toMatchObject({ level: 'warning', text });
});

test('of a query that is slow over all users, reports only what was measured', () => {
  const finding = noUserInTime(reader(true), 'sample', { what: 'user ids', ms: 5_000, userId: null });
  expect(finding).toMatchObject({
    level: 'warning',
    text: expect.stringMatching(/^user ids were not read within 5.0 s/),
  });
  expect(finding.text).toContain('of one user (50 ms, freshness.liveTimeout) was not measured');
  expect(finding.remedy).toContain('create the index');
});
