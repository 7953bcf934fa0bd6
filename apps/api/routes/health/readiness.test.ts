import { describe, expect, it, vi } from 'vitest';
import { createReadiness, type Part } from './readiness.ts';

const ok: Part = { name: 'postgres', isEssential: true, check: async () => {} };
const failing = (name: string, isEssential: boolean): Part => ({
  name,
  isEssential,
  check: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7')),
});

describe('createReadiness', () => {
  it('is ready where every part works', async () => {
    const readiness = createReadiness({ parts: [ok], onFailed() {} });
    expect(await readiness.check()).toEqual({ status: 'ready', parts: [{ name: 'postgres', status: 'ok' }] });
  });

  it('names the failing part, and shows its reason to the log alone', async () => {
    const onFailed = vi.fn();
    const readiness = createReadiness({ parts: [ok, failing('redis', false)], onFailed });
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

  it('is not ready without an essential part, also where it never answers', async () => {
    const hanging: Part = { name: 'postgres', isEssential: true, check: () => new Promise(() => {}) };
    const readiness = createReadiness({ parts: [hanging], timeoutMs: 5, onFailed() {} });
    expect((await readiness.check()).status).toBe('not_ready');
  });

  it('asks once for all who ask at the same moment', async () => {
    const check = vi.fn(async () => {});
    const readiness = createReadiness({ parts: [{ ...ok, check }], onFailed() {} });
    await Promise.all([readiness.check(), readiness.check(), readiness.check()]);
    expect(check).toHaveBeenCalledTimes(1);
  });

  it('is not ready once the process is about to end', async () => {
    const readiness = createReadiness({ parts: [ok], onFailed() {} });
    readiness.drain();
    expect(await readiness.check()).toEqual({ status: 'not_ready', parts: [{ name: 'process', status: 'draining' }] });
  });
});
