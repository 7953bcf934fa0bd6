import { expect, test } from 'vitest';
import type { Gain, ValueReport } from '../value-report.ts';
import { conclusionsOf } from './conclusions.ts';

const HOUR_MS = 3_600_000;
const estimate = { value: 0, low: 0, high: 0 };

/** Returns the headline of a report with these findings, for cadences of 1 h, 2 h and so on. */
function headlineOf(verdicts: readonly Gain['verdict'][]): string | undefined {
  const report: ValueReport = {
    predictor: 'churn',
    simulated: false,
    from: '2026-01-01T00:00:00Z',
    to: '2026-01-02T00:00:00Z',
    measure: 'logLoss',
    top: null,
    reads: { all: 40, judged: 40, unknownContext: 0, unknownOutcome: 0, unscorable: 0 },
    users: { scored: 40, judged: 40, effective: 25 },
    outcomeRate: 0.5,
    gains: verdicts.map((verdict, i) => ({ cadenceMs: (i + 1) * HOUR_MS, verdict, change: estimate, bounds: null })),
    policies: [],
    batchByAge: [],
    resampling: { resamples: 1_000, seed: 1 },
  };
  return conclusionsOf(report)[0];
}

const LIVE = 'on this history, live answers after events were';

test.each<[readonly Gain['verdict'][], string]>([
  [['none', 'none'], `No significant gain: ${LIVE} not measurably better than batch-only every 1h, 2h.`],
  [
    ['none', 'unknown', 'none', 'unknown'],
    `No significant gain: ${LIVE} not measurably better than batch-only every 1h, 3h. There are not enough users for a finding every 2h, 4h.`,
  ],
  [['gain', 'gain'], `A significant gain: ${LIVE} better than batch-only every 1h, 2h.`],
  [
    ['gain', 'none', 'unknown'],
    `A significant gain: ${LIVE} better than batch-only every 1h, and not measurably better than batch-only every 2h. There are not enough users for a finding every 3h.`,
  ],
  [
    ['loss', 'gain'],
    `A significant gain: ${LIVE} better than batch-only every 2h, and worse than batch-only every 1h.`,
  ],
  [['loss'], `A significant loss: ${LIVE} worse than batch-only every 1h.`],
])('findings %j are the headline: each cadence is named with its own finding', (verdicts, headline) => {
  expect(headlineOf(verdicts)).toBe(headline);
});

test('findings that are all unknown are no finding', () => {
  expect(headlineOf(['unknown', 'unknown'])).toMatch(
    /^No finding: not enough users .* 40 users weigh like those of 25 /,
  );
});
