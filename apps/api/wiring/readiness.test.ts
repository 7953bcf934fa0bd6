import type { Part } from '@tandem/reading/prove-database';
import { describe, expect, it, vi } from 'vitest';
import { createReadiness } from './readiness.ts';

const ok: Part = { name: 'postgres', isEssential: true, check: async () => {} };
const quiet = { onFailed() {}, onMended() {} };
const failing = (name: string, isEssential: boolean): Part => ({
  name,
  isEssential,
  check: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7')),
});

describe('createReadiness', () => {
  it('is ready if every part works', async () => {
    const readiness = createReadiness({ parts: [ok], ...quiet });
    expect(await readiness.check()).toEqual({ status: 'ready', parts: [{ name: 'postgres', status: 'ok' }] });
  });

  it('names the failing part, and writes the reason only to the log', async () => {
    const onFailed = vi.fn();
    const readiness = createReadiness({ parts: [ok, failing('redis', false)], ...quiet, onFailed });
    const found = await readiness.check();
    expect(found).toEqual({
      status: 'degraded',
      parts: [
        { name: 'postgres', status: 'ok' },
        { name: 'redis', status: 'failed' },
      ],
    });
    expect(onFailed).toHaveBeenCalledWith(
      'redis',
      expect.objectContaining({ message: expect.stringContaining('10.0.0.7') }),
    );
  });

  it('is not ready if an essential part fails or never answers', async () => {
    const hanging: Part = { name: 'postgres', isEssential: true, check: () => new Promise(() => {}) };
    const readiness = createReadiness({ parts: [hanging], timeoutMs: 5, ...quiet });
    expect((await readiness.check()).status).toBe('not_ready');
  });

  it('checks the parts once for all concurrent callers', async () => {
    const check = vi.fn(async () => {});
    const readiness = createReadiness({ parts: [{ ...ok, check }], ...quiet });
    await Promise.all([readiness.check(), readiness.check(), readiness.check()]);
    expect(check).toHaveBeenCalledTimes(1);
  });

  it('logs when a part begins to fail and when it works again, not each check', async () => {
    const check = vi.fn(async () => {});
    const told: string[] = [];
    const onFailed = (name: string) => void told.push(`${name} failed`);
    const onMended = (name: string) => void told.push(`${name} recovered`);
    const readiness = createReadiness({ parts: [{ ...ok, check }], onFailed, onMended });
    check.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('away'));
    for (let look = 0; look < 4; look++) await readiness.check();
    expect(told).toEqual(['postgres failed', 'postgres recovered']);
  });

  it('is not ready when the process is about to end', async () => {
    const readiness = createReadiness({ parts: [ok], ...quiet });
    readiness.drain();
    expect(await readiness.check()).toEqual({ status: 'not_ready', parts: [{ name: 'process', status: 'draining' }] });
  });
});
