import { expect, it } from 'vitest';
import { sampleOf } from './sample-processes.ts';

it.runIf(process.platform === 'linux')(
  'samples the resources of a process, and returns null for a process that does not exist',
  () => {
    const sample = sampleOf('this test', process.pid);
    const { rss } = process.memoryUsage();
    expect(sample).toMatchObject({ kind: 'process', name: 'this test', pid: process.pid });
    expect(sample?.rss).toBeGreaterThan(rss / 2);
    expect(sample?.rss).toBeLessThan(rss * 2);
    expect(sample?.descriptors).toBeGreaterThan(2);
    expect(sample?.cpuMs).toBeGreaterThan(0);
    if (sample?.main) expect(sample.main.ranMs).toBeGreaterThan(0);
    expect(sampleOf('no process', 2 ** 22 + 1)).toBeNull();
  },
);
