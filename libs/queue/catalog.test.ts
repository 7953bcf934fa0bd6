import { describe, expect, it } from 'vitest';
import { catalog, definitionOf } from './catalog.ts';

const runId = '7f8d1f6e-4c1c-4d83-9d5e-0b0f6a2a1c11';

describe('job catalog', () => {
  it('gives each job a key that BullMQ accepts as an id: no colon, not only digits', () => {
    const keys = [
      catalog['plan-run'].key({ runId }),
      catalog['run-chunk'].key({ runId, no: 3, fence: 0 }),
      catalog['publish-run'].key({ runId }),
      catalog['load-generation'].key({ generationId: runId }),
    ];
    expect(keys).toHaveLength(Object.keys(catalog).length);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[a-z][a-z0-9-]+$/);
  });

  it('gives the job of a chunk another key after each claim', () => {
    const { key } = catalog['run-chunk'];
    expect(key({ runId, no: 3, fence: 1 })).not.toBe(key({ runId, no: 3, fence: 0 }));
  });

  it('delays a chunk longer after each claim, up to 30 s', () => {
    const delays = [0, 1, 2, 3, 6, 100].map((fence) => catalog['run-chunk'].delayMs({ runId, no: 0, fence }));
    expect(delays).toEqual([0, 1_000, 2_000, 4_000, 30_000, 30_000]);
  });

  it('accepts only ids: rejects a payload with further fields or without an id', () => {
    const { payload } = definitionOf('run-chunk');
    expect(payload.safeParse({ runId, no: 0, fence: 0 }).success).toBe(true);
    expect(payload.safeParse({ runId, no: 0, fence: 0, userIds: ['1'] }).success).toBe(false);
    expect(payload.safeParse({ runId: 'x', no: 0, fence: 0 }).success).toBe(false);
    expect(payload.safeParse({ runId, no: -1, fence: 0 }).success).toBe(false);
  });
});
