import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('a served prediction is counted by predictor, source and reason', async () => {
  const metrics = createMetrics({ app: 'api', processMetrics: false });
  metrics.predictions.inc({ predictor: 'churn', source: 'live', reason: 'context_newer' });
  metrics.predictions.inc({ predictor: 'churn', source: 'live', reason: 'context_newer' }, 2);
  // A scrape neither repeats nor loses counts.
  await metrics.exposition();
  metrics.predictions.labels({ predictor: 'churn', source: 'live', reason: 'context_newer' }).inc();
  expect(await metrics.exposition()).toContain(
    'tandem_predictions_total{predictor="churn",source="live",reason="context_newer",app="api"} 4',
  );
});

test('every instrument appears in the exposition, with help', async () => {
  const metrics = createMetrics({ app: 'api', processMetrics: false });
  metrics.authority.observe({ outcome: 'ok' }, 0.0002);
  metrics.onlineLookup.observe({ outcome: 'ok' }, 0.0003);
  metrics.liveInference.observe({ predictor: 'churn', outcome: 'predicted' }, 0.01);
  metrics.inferenceQueueDepth.set({ priority: 'live' }, 4);
  metrics.inferenceSaturation.set(0.5);
  metrics.events.inc({ outcome: 'duplicate' });
  metrics.runs.inc({ predictor: 'churn', scope: 'all', state: 'done' });
  metrics.chunks.inc({ predictor: 'churn', state: 'committed' });
  metrics.overlayWritesDropped.inc();
  metrics.hintsFailed.inc();
  const text = await metrics.exposition();
  for (const series of [
    'tandem_authority_seconds_bucket{le="0.00025",app="api",outcome="ok"} 1',
    'tandem_online_lookup_seconds_count{app="api",outcome="ok"} 1',
    'tandem_live_inference_seconds_sum{app="api",predictor="churn",outcome="predicted"} 0.01',
    'tandem_inference_queue_depth{priority="live",app="api"} 4',
    'tandem_inference_saturation_ratio{app="api"} 0.5',
    'tandem_events_total{outcome="duplicate",app="api"} 1',
    'tandem_runs_total{predictor="churn",scope="all",state="done",app="api"} 1',
    'tandem_chunks_total{predictor="churn",state="committed",app="api"} 1',
    'tandem_overlay_writes_dropped_total{app="api"} 1',
    'tandem_hints_failed_total{app="api"} 1',
  ]) {
    expect(text).toContain(series);
  }
  expect(metrics.contentType).toContain('text/plain');
});

test('a counter starts at 0, so that its first increase is visible', async () => {
  expect(await createMetrics({ app: 'api', processMetrics: false }).exposition()).toContain(
    'tandem_hints_failed_total{app="api"} 0',
  );
});

test('process and event-loop metrics are exported, and two registries are independent', async () => {
  const [api, worker] = [createMetrics({ app: 'api' }), createMetrics({ app: 'worker' })];
  api.hintsFailed.inc();
  const text = await worker.exposition();
  expect(text).toContain('tandem_hints_failed_total{app="worker"} 0');
  expect(text).toContain('process_resident_memory_bytes{app="worker"}');
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds{app="worker"}');
});
