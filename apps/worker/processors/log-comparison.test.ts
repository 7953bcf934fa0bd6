import { compareSides, scores } from '@tandem/prediction/reports/compare-generations.fixture';
import type { Run } from '@tandem/prediction/runs/runs';
import type { Log } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, it } from 'vitest';
import { logComparison } from './log-comparison.ts';

const users = Array.from({ length: 100 }, (_, i) => i);
const before = scores(users.map((i) => [`${i}`, i / 100]));
const now = scores(users.map((i) => [`${i}`, i < 10 ? 0.9 : i >= 95 ? 0.1 : i / 100]));
const first = [{ name: 'score', ends: [0.5], counts: [80, 20] }];
const comparison = compareSides(before, now, { decision: { output: 'score', threshold: 0.5 }, first });
const run = { id: 'r', predictor: 'repurchase', generationNumber: 18 } as Run;
const crossing = { setting: 'maxPsi', output: 'score', value: 0.4, limit: 0.25 } as const;

it('a comparison is logged as one line, and sets the metrics of its predictor', async () => {
  const lines: [string, string, unknown][] = [];
  const write = (level: string) => (event: string, fields: unknown) => void lines.push([level, event, fields]);
  const log = { info: write('info'), warn: write('warn') } as unknown as Log;
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  const figures = comparison.figures();
  const firstGeneration = { generation: 3, isOfPages: false, outputs: first };
  const report = { against: { number: 17 }, first: firstGeneration, figures, notes: [], tookMs: 41 };
  logComparison(run, { ...report, verdict: 'passed', crossings: [] }, { log, metrics });
  logComparison(run, { ...report, verdict: 'blocked', crossings: [crossing] }, { log, metrics });
  logComparison(run, { ...report, verdict: 'not_compared', figures: null, crossings: [] }, { log, metrics });
  const { psi, first: since } = figures.outputs[0] ?? {};
  expect(lines.map(([level]) => level)).toEqual(['info', 'warn', 'info']);
  expect(lines[1]).toEqual([
    'warn',
    'generation.compared',
    expect.objectContaining({
      ...{
        predictor: 'repurchase',
        generation: 18,
        against: 17,
        first: 3,
        verdict: 'blocked',
        users: 100,
        flipRate: 0.15,
      },
      ...{
        psi: { score: psi },
        psiOfFirst: { score: since?.psi },
        crossed: ['PSI 0.4 of score is above 0.25'],
        tookMs: 41,
      },
    }),
  ]);
  const text = await metrics.exposition();
  expect(since?.psi).toBeGreaterThan(0.1);
  expect(text).toMatch(new RegExp(`tandem_generation_psi{.*output="score".*against="previous".*} ${psi}`));
  expect(text).toMatch(new RegExp(`tandem_generation_psi{.*output="score".*against="first".*} ${since?.psi}`));
  expect(text).toMatch(/tandem_generation_flips_ratio{.*direction="up".*} 0\.1\n/);
  expect(text).toMatch(/tandem_generation_flips_ratio{.*direction="down".*} 0\.05\n/);
  expect(text.match(/tandem_generation_reports_total{.*} 1\n/g)).toHaveLength(3);
});

it('without a first generation, the metric of an earlier comparison with it ends', async () => {
  const write = () => undefined;
  const log = { info: write, warn: write } as unknown as Log;
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  const report = { against: { number: 17 }, notes: [], tookMs: 41, verdict: 'passed', crossings: [] } as const;
  logComparison(run, { ...report, figures: comparison.figures() }, { log, metrics });
  logComparison(run, { ...report, figures: compareSides(before, now).figures() }, { log, metrics });
  const text = await metrics.exposition();
  expect(text).toContain('against="previous"');
  expect(text).not.toContain('against="first"');
});
