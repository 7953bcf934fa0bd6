import { createMetrics } from '@tandem/telemetry/metrics';
import { describe, expect, it } from 'vitest';
import { countRestarts } from './inference-restarts.ts';

describe('countRestarts', () => {
  it('counts each end by one of few reasons, and passes everything on', async () => {
    const metrics = createMetrics({ app: 'api', processMetrics: false });
    const passed: string[] = [];
    const log = countRestarts(metrics, (event) => passed.push(event));
    const reasons = [
      'it took more than 512 MB of memory',
      'no answer within 50 ms',
      'no answer within 60 ms',
      'signal SIGSEGV',
      'exit code 1: error',
    ];
    for (const how of reasons) log('inference.process_ended', { how: `the inference process ended: ${how}` });
    log('inference.model_not_loaded', { artifact: 'a' });
    const { values } = await metrics.inferenceRestarts.get();
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels.why, value]))).toEqual({
      memory: 1,
      timeout: 2,
      crash: 2,
    });
    expect(passed).toHaveLength(6);
  });
});
