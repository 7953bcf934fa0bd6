import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, it } from 'vitest';
import { hitsIn } from './sample-work.ts';

it('finds the answers that re-scorings had stored among the metrics of an API', async () => {
  const metrics = createMetrics({ app: 'api', processMetrics: false });
  expect(hitsIn(await metrics.exposition())).toBe(0);
  metrics.refreshHits.inc({ predictor: 'count' }, 3);
  metrics.refreshHits.inc({ predictor: 'other' }, 1);
  expect(hitsIn(await metrics.exposition())).toBe(4);
});
