import { expect, it } from 'vitest';
import { mergeExpositions } from './merge-expositions.ts';
import { createMetrics } from './metrics.ts';

it('merges the series of two processes under one HELP and TYPE each', async () => {
  const [first, second] = [1, 2].map((process) => createMetrics({ app: 'api', process, processMetrics: false }));
  first?.predictions.labels({ predictor: 'repurchase', source: 'batch', reason: 'fresh' }).inc(3);
  second?.predictions.labels({ predictor: 'repurchase', source: 'batch', reason: 'fresh' }).inc(4);
  second?.modelRests.inc({ predictor: 'repurchase' });
  const merged = mergeExpositions([(await first?.exposition()) ?? '', (await second?.exposition()) ?? '']);
  const lines = merged.split('\n');
  expect(merged.endsWith('\n')).toBe(true);
  expect(lines.filter((line) => line === '# TYPE tandem_predictions_total counter')).toHaveLength(1);
  const at = lines.indexOf('# TYPE tandem_predictions_total counter');
  expect(lines.slice(at + 1, at + 3)).toEqual([
    'tandem_predictions_total{predictor="repurchase",source="batch",reason="fresh",app="api",process="1"} 3',
    'tandem_predictions_total{predictor="repurchase",source="batch",reason="fresh",app="api",process="2"} 4',
  ]);
  // A series of only one process is listed under its own metric.
  const rests = lines.indexOf('# TYPE tandem_model_rests_total counter');
  expect(lines[rests + 1]).toMatch(/^tandem_model_rests_total\{.*process="2"\} 1$/);
  expect(lines.filter((line) => line.startsWith('# TYPE ')).length).toBe(
    new Set(lines.filter((line) => line.startsWith('# TYPE '))).size,
  );
});

it('leaves a single exposition unchanged', async () => {
  const text = await createMetrics({ app: 'api', processMetrics: false }).exposition();
  expect(mergeExpositions([text]).split('\n').filter(Boolean)).toEqual(text.split('\n').filter(Boolean));
});
