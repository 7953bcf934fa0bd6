import type { ShadowReport } from '@tandem/client/wire';
import { expect, test } from 'vitest';
import { SHADOW_REPORT_EXAMPLE } from '../wire/shadow-report.ts';
import { renderShadowReport } from './render-shadow-report.ts';

const NOW = Date.parse('2026-11-24T09:12:07.000Z');

test('a report of a shadow has a table of segments and bars of differences', () => {
  expect(renderShadowReport(SHADOW_REPORT_EXAMPLE, NOW)).toEqual([
    'predictor  repurchase',
    'candidate  model version 3, for 25 % of the users, running',
    'reported   2.0 s ago by 2 processes',
    'decision   score ≥ 0.5',
    'served     7 h 12 min old on average',
    'CPU        3.1 ms for 1,000 users',
    'run        half of the users within 2 ms',
    'features   half of the users within 5 ms',
    '',
    'served answers',
    'repeated         9,120',
    'compared         4,000',
    'over_rate          310',
    'context_differs     12',
    'failed               2',
    '',
    'users         compared  differ      mean  deviation  largest  flips   ↑   ↓             95 %',
    'all users        4,000    98 %  -0.00400     0.0310    0.410    1 %  12  28  0.74 % … 1.36 %',
    'country = DE     1,400    99 %   0.00100     0.0200    0.200  0.5 %   3   4  0.24 % … 1.03 %',
    '',
    'candidate minus served',
    ' -0.05  to  -0.02    700  ███████████',
    '-0.001  to  0.001  2,500  ████████████████████████████████████████',
    '  0.02  to   0.05    800  █████████████',
    '',
    'furthest apart',
    'user  served  candidate',
    '42      0.31       0.72',
  ]);
});

test('a report without findings says so, and lists no decisions without a threshold', () => {
  const empty: ShadowReport = {
    ...SHADOW_REPORT_EXAMPLE,
    ...{ processes: 0, updatedAt: null, decision: null, outcomes: { compared: 0 }, segments: [], movers: [] },
    servedAgeSeconds: null,
    everybody: {
      ...{ compared: 0, differentShare: null, meanDelta: null, deviation: null, largestDelta: null },
      ...{ deltas: [], flips: null },
    },
    candidate: { featuresMs: [], runMs: [], usersRun: 0, cpuMsPerThousand: null, processesEnded: 1 },
  };
  const text = renderShadowReport(empty, NOW).join('\n');
  expect(text).toContain('reported   never by 0 processes');
  expect(text).toContain('ended      1 of its processes');
  expect(text).not.toContain('furthest');
  expect(text).not.toMatch(/NaN|null|undefined|█/);
});

test('texts from other sources cannot control a terminal', () => {
  const [segment] = SHADOW_REPORT_EXAMPLE.segments;
  const lines = renderShadowReport(
    { ...SHADOW_REPORT_EXAMPLE, segments: segment ? [{ ...segment, value: 'D\u001b[2JE' }] : [] },
    NOW,
  );
  expect(lines.join('\n')).toContain('country = D?[2JE');
});
